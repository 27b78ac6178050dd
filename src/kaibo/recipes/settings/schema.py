"""What a recipe may say: the settings of one run, each with its default and what it means.

A file holds one recipe, or through `[matrix]` and `[[runs]]` many (see `expansion`); here is the single run that
every one of them becomes. The same fields, as text, are what identifies a run.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

from kaibo.documents.fields import setting

Kind = Literal["pretrain", "sft", "dpo"]
Device = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["auto", "float32", "bfloat16", "float16"]
Method = Literal["lora", "qlora", "full"]
Optimiser = Literal["adamw", "adam", "adamw-8bit", "adamw-paged-8bit", "adamw-paged", "adafactor", "sgd"]
Schedule = Literal["cosine", "linear", "constant"]
Form = Literal["auto", "messages", "prompt-completion", "preference", "text"]


@dataclass(frozen=True)
class Data:
    """What is learned from: files, folders of `datasets`, or `hf:org/name`."""

    files: tuple[str, ...] = setting((), "JSONL or plain text files, folders of `datasets`, or hf:org/name")
    rejected: tuple[str, ...] = setting((), "dpo: the other style's files; rows are joined by prompt")
    form: Form = setting("auto", "the form of the rows; auto goes by the fields of the first good row")
    split: str = setting("train", "which split of a `datasets` folder or hub data set")
    limit: int | None = setting(None, "at most so many rows, from the beginning", least=1)


@dataclass(frozen=True)
class Adapter:
    """What is trained: a low-rank adapter on the base, on a base in 4 or 8 bit, or all weights."""

    method: Method = setting("lora", "low-rank adapter, the same over a quantised base, or all weights")
    rank: int = setting(8, "rank r of the adapter's two factors", least=1)
    alpha: float = setting(16.0, "the adapter's product is scaled by alpha / rank", least=0)
    dropout: float = setting(0.0, "share of the adapter's inputs that are dropped", least=0, most=1)
    target_modules: tuple[str, ...] = setting(("all-linear",), "modules that get one; all-linear leaves out the head")
    bits: Literal[4, 8] = setting(4, "qlora: bits of the base's weights")
    type: Literal["nf4", "fp4"] = setting("nf4", "qlora: the 4-bit type")
    double_quantisation: bool = setting(True, "qlora: the scales of the blocks are quantised, too (0.37 bit a weight)")
    compute: Precision = setting("auto", "qlora: type that products are computed in; auto is the run's precision")


@dataclass(frozen=True)
class Training:
    """How it is trained."""

    epochs: float = setting(1.0, "passes over the data", least=0)
    steps: int | None = setting(None, "optimiser steps; where given, epochs do not count", least=1)
    batch: int = setting(2, "texts (dpo: pairs) a forward pass", least=1)
    accumulation: int = setting(1, "forward passes an optimiser step", least=1)
    optimiser: Optimiser = setting("adamw", "adam is AdamW without weight decay; 8bit and paged need bitsandbytes")
    learning_rate: float = setting(1e-5, "the largest learning rate", least=0)
    schedule: Schedule = setting("cosine", "how the learning rate falls after the warm-up")
    warmup: float = setting(0.0, "share of the steps in which the learning rate rises", least=0, most=1)
    weight_decay: float = setting(0.0, "AdamW's weight decay", least=0)
    momentum: float = setting(0.0, "momentum of sgd", least=0, most=1)
    clip: float = setting(1.0, "norm that a gradient is cut to; 0 does not cut", least=0)
    max_length: int = setting(1024, "tokens of a text; longer ones are cut at the end, and counted", least=8)
    gradient_checkpointing: bool = setting(False, "activations are computed again instead of kept")
    chunked_loss: bool = setting(True, "the loss is computed without a batch × length × vocabulary tensor")
    checkpoint_every: int = setting(0, "optimiser steps between checkpoints to resume from; 0: ten a run", least=0)
    log_every: int = setting(1, "optimiser steps between points of the loss curve", least=1)


@dataclass(frozen=True)
class Preference:
    """Direct preference optimisation (Rafailov et al. 2023, https://arxiv.org/abs/2305.18290)."""

    beta: float = setting(0.1, "β: how strongly the reference holds the model back", least=0)
    loss: Literal["sigmoid", "ipo", "hinge"] = setting("sigmoid", "sigmoid is the loss of the paper")
    precompute_reference: bool = setting(False, "log-probabilities of the reference are computed before training")


@dataclass(frozen=True)
class Saving:
    """What is kept of a run."""

    merged: bool = setting(False, "also write base + adapter as a model of its own")
    merge_dtype: Literal["auto", "float32", "bfloat16"] = setting(
        "auto", "type of merged weights, never 4 bit; auto: bfloat16 where the base is stored in 16 bit, else float32"
    )


@dataclass(frozen=True)
class Probing:
    """Whether the new model still answers."""

    run: bool = setting(True, "generate answers after training and count what went wrong")
    language: str = setting("", "language to answer in (en, ja); empty: that of each prompt")
    prompts: str = setting("", "file of prompts, one a line or JSONL; empty: the shipped ones")
    max_tokens: int = setting(64, "tokens an answer may have", least=1)


@dataclass(frozen=True)
class Shape:
    """pretrain: the reference LLaMA that is made where there is no base; the names are those of `config.json`."""

    hidden_size: int = setting(128, "width", least=1)
    intermediate_size: int | None = setting(
        None, "width of the feed-forward part; else about 8/3 of the width", least=1
    )
    num_hidden_layers: int = setting(4, "layers", least=1)
    num_attention_heads: int = setting(4, "heads", least=1)
    num_key_value_heads: int | None = setting(None, "heads of keys and values; else as many as heads", least=1)
    vocab_size: int = setting(2048, "tokens of the tokenizer that is trained on the data", least=256)
    max_position_embeddings: int = setting(256, "context in tokens", least=8)
    rope_theta: float = setting(10000.0, "base of the rotary positions", least=1)
    tie_word_embeddings: bool = setting(False, "whether head and embedding are one tensor")


@dataclass(frozen=True)
class Pretraining:
    """pretrain: which checkpoints are kept, and what happens to the vocabulary of a base."""

    log_checkpoints: int = setting(12, "checkpoints at steps spaced evenly in their logarithm", least=0)
    linear_checkpoints: int = setting(12, "checkpoints at evenly spaced steps", least=0)
    keep_float32: bool = setting(True, "checkpoints are saved in float32 beside bfloat16")
    extend_vocabulary: int = setting(0, "tokens added to the base's vocabulary from the data", least=0)
    tokenizer: str = setting("", "folder of a tokenizer to use; empty: the base's, or one trained on the data")
    markup: bool = setting(False, "special tokens written in the texts (<|user|>) are those tokens, not letters")
    threads: int = setting(2, "CPU threads; the same number gives the same bytes. 0: all", least=0)


@dataclass(frozen=True)
class Recipe:
    """One run."""

    name: str = setting(dataclasses.MISSING, "what the run is called; also its folder")
    kind: Kind = setting(dataclasses.MISSING, "pretrain, sft or dpo")
    base: str = setting("", "address of the base, or run:NAME for a chain; pretrain: empty starts from random weights")
    seed: int = setting(42, "seed of everything random (transformers.set_seed)", least=0, most=2**32 - 1)
    device: Device = setting("auto", "auto: cuda, else mps, else cpu")
    precision: Precision = setting("auto", "auto: float32 on the CPU, bfloat16 elsewhere")
    data: Data = setting(Data(), "what is learned from")
    adapter: Adapter = setting(Adapter(), "sft, dpo: what is trained")
    training: Training = setting(Training(), "how it is trained")
    dpo: Preference = setting(Preference(), "dpo: the loss")
    save: Saving = setting(Saving(), "what is kept")
    probe: Probing = setting(Probing(), "whether it still answers")
    model: Shape = setting(Shape(), "pretrain: the model")
    pretrain: Pretraining = setting(Pretraining(), "pretrain: checkpoints and vocabulary")

    def record(self) -> dict[str, Any]:
        """The recipe as plain values, as it is written to `run.json`."""
        return dataclasses.asdict(self)
