"""What a pre-training run starts from: random weights and a tokenizer, or a base with its own, perhaps extended."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kaibo.errors import UsageError
from kaibo.llama import Llama, LlamaConfig, Rope, initialise, load_llama
from kaibo.recipes.rows.data import Rows
from kaibo.recipes.runs.workshop import Base, Workshop, base_of
from kaibo.recipes.settings.schema import Recipe
from kaibo.recipes.vocabularies.extension import extended
from kaibo.recipes.vocabularies.tokenizers import BOS, EOS, PAD, extended_tokenizer, load_tokenizer, train_tokenizer

FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja")


@dataclass(frozen=True)
class Origin:
    """The model at step 0, its tokenizer and that one's files."""

    model: Llama
    tokenizer: Any
    tokenizer_files: tuple[Path, ...]


def roots_of(recipe: Recipe, shop: Workshop) -> Base:
    """What a run descends from; of one without a base its `model_id` is the content of the tokenizer it is given."""
    if recipe.base:
        return base_of(recipe, shop)
    folder = recipe.pretrain.tokenizer
    return Base("", Path(folder), content_of(Path(folder)) if folder else "", None, "")


def origin_of(recipe: Recipe, rows: Rows, base: Base, folder: Path) -> Origin:
    """The model that a run in `folder` starts from; a tokenizer that is made for it is kept there.

    Raises UsageError where recipe and tokenizer do not go together.
    """
    made = folder / "tokenizer"
    return _from_base(recipe, rows, base, made) if recipe.base else _from_nothing(recipe, rows, made)


def _from_nothing(recipe: Recipe, rows: Rows, made: Path) -> Origin:
    folder = Path(recipe.pretrain.tokenizer or made)
    if recipe.pretrain.tokenizer:
        tokenizer = load_tokenizer(folder)
    else:
        shape = recipe.model
        texts = (row["text"] for row in rows.rows)
        tokenizer = train_tokenizer(texts, shape.vocab_size, folder, context=shape.max_position_embeddings)
    if tokenizer.get_vocab_size() > recipe.model.vocab_size:
        message = (
            f"the tokenizer has {tokenizer.get_vocab_size()} tokens, model.vocab_size is {recipe.model.vocab_size}"
        )
        raise UsageError(f"{recipe.name}: {message}", next="raise model.vocab_size")
    model = initialise(Llama(config_of(recipe)), recipe.seed)
    return Origin(model, tokenizer, _files(folder))


def _from_base(recipe: Recipe, rows: Rows, base: Base, made: Path) -> Origin:
    folder = base.folder
    model = load_llama(folder, dtype="float32")
    tokenizer = load_tokenizer(folder)
    if recipe.pretrain.extend_vocabulary:
        texts = [row["text"] for row in rows.rows]
        added = recipe.pretrain.extend_vocabulary
        new = extended_tokenizer(tokenizer, texts, added, made, context=model.config.context)
        model = extended(model, tokenizer, new)
        tokenizer, folder = new, made
    return Origin(model, tokenizer, _files(folder))


def config_of(recipe: Recipe) -> LlamaConfig:
    """The shape of a recipe in the words of the reference."""
    shape = recipe.model
    width, heads = shape.hidden_size, shape.num_attention_heads
    if width % heads:
        raise UsageError(f"{recipe.name}: {heads} heads do not divide a width of {width}")
    return LlamaConfig(
        vocabulary=shape.vocab_size,
        hidden=width,
        intermediate=shape.intermediate_size or 8 * ((8 * width + 23) // 24),
        layers=shape.num_hidden_layers,
        heads=heads,
        kv_heads=shape.num_key_value_heads or heads,
        head_size=width // heads,
        context=shape.max_position_embeddings,
        rope=Rope(base=shape.rope_theta),
        tied=shape.tie_word_embeddings,
        bos=BOS,
        eos=(EOS,),
        pad=PAD,
    )


def _files(folder: Path) -> tuple[Path, ...]:
    return tuple(folder / name for name in FILES if (folder / name).is_file())


def content_of(folder: Path) -> str:
    """16 hex digits of a tokenizer's own file. Raises MissingError where there is none."""
    load_tokenizer(folder)
    return hashlib.sha256((folder / "tokenizer.json").read_bytes()).hexdigest()[:16]
