"""A tokenizer trained on the spot: byte-level BPE, saved so that transformers loads it.

Byte-level BPE (Radford et al. 2019, GPT-2): every text can be written, nothing is unknown. Trained by the Rust
package `tokenizers`, the same merges for the same text in the same order.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from kaibo.errors import FormatError, MissingError, missing_extra
from kaibo.models.tokenizer_files import check_tokenizer

SPECIAL = ("<s>", "</s>", "<pad>", "<|user|>", "<|assistant|>", "<|system|>")
BOS, EOS, PAD = 0, 1, 2

CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>' + message['content'] }}"
    "{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


def train_tokenizer(texts: Iterable[str], vocabulary: int, folder: Path, *, context: int) -> Any:
    """Trains a tokenizer of `vocabulary` tokens (256 bytes and the special ones included) and saves it in `folder`.

    Returns it as `load_tokenizer` does. Raises MissingError without the extra `torch`.
    """
    package = _package()
    tokenizer = package.Tokenizer(package.models.BPE())
    tokenizer.pre_tokenizer = package.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = package.decoders.ByteLevel()
    trainer = package.trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(SPECIAL),
        initial_alphabet=sorted(package.pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    save_tokenizer(tokenizer, folder, context=context)
    return load_tokenizer(folder)


def extended_tokenizer(base: Any, texts: Iterable[str], added: int, folder: Path, *, context: int) -> Any:
    """The base with `added` more merges, those that the new texts want most; the old tokens keep their ids.

    The new texts are cut as the base cuts them, and BPE goes on from there: each new token is two known ones.
    """
    from kaibo.recipes.vocabularies.merging import further_merges

    described = json.loads(base.to_str())
    model = described["model"]
    merges = [tuple(pair) for pair in model["merges"]]
    vocabulary = dict(model["vocab"])
    for first, second in further_merges(base, texts, added):
        merges.append((first, second))
        vocabulary[first + second] = len(vocabulary)
    model["merges"] = [list(pair) for pair in merges]
    model["vocab"] = vocabulary
    save_tokenizer(_package().Tokenizer.from_str(json.dumps(described)), folder, context=context)
    return load_tokenizer(folder)


def save_tokenizer(tokenizer: Any, folder: Path, *, context: int) -> None:
    """Writes `tokenizer.json`, its configuration and the chat template as transformers reads them."""
    folder.mkdir(parents=True, exist_ok=True)
    _ends(tokenizer)
    configuration = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": SPECIAL[BOS],
        "eos_token": SPECIAL[EOS],
        "pad_token": SPECIAL[PAD],
        "model_max_length": context,
        "clean_up_tokenization_spaces": False,
        "add_bos_token": True,
        "chat_template": CHAT_TEMPLATE,
    }
    (folder / "tokenizer.json").write_text(tokenizer.to_str(pretty=True), encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(configuration, indent=1), encoding="utf-8")


def _ends(tokenizer: Any) -> None:
    """A text begins with <s>, as LLaMA's do, so that its first token can be scored as well."""
    tokenizer.post_processor = _package().processors.Sequence(
        [
            _package().processors.ByteLevel(trim_offsets=False),
            _package().processors.TemplateProcessing(
                single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", BOS)]
            ),
        ]
    )


def load_tokenizer(folder: Path) -> Any:
    """The tokenizer of a folder, as the package `tokenizers` gives it. Raises MissingError or FormatError."""
    path = folder / "tokenizer.json"
    if not path.is_file():
        raise MissingError("has no tokenizer.json", file=folder, next="name the folder of a model with its tokenizer")
    check_tokenizer(path)
    try:
        return _package().Tokenizer.from_file(str(path))
    except Exception as error:
        raise FormatError(f"is no tokenizer ({error})", file=path) from error


def _package() -> Any:
    try:
        import tokenizers
    except ImportError:
        raise missing_extra("torch", "tokenizers") from None
    return tokenizers
