"""What a nursery holds: its sizes, how long they learn, their children and variants, for every preset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from kaibo.recipes.settings.schema import Device, Optimiser, Shape


@dataclass(frozen=True)
class Learning:
    """How one model is pre-trained: so many steps of so many rows, up to this learning rate."""

    steps: int
    rate: float
    batch: int = 8
    optimiser: Optimiser = "adamw"
    accumulation: int = 1


@dataclass(frozen=True)
class Variant:
    """The smallest size once more, with another optimiser or other data."""

    name: str
    data: str = "mixed"
    learning: Learning | None = None


@dataclass(frozen=True)
class Children:
    """The fine-tunes of the largest size: methods × styles × seeds × rates, and DPO on top of SFT for one seed."""

    seeds: tuple[int, ...] = (42, 100)
    rates: tuple[float, ...] = (1e-5, 1e-4)
    sft_steps: int = 20
    dpo_steps: int = 10
    batch: int = 4
    rows: int = 400


@dataclass(frozen=True)
class Continuation:
    """The English variant read on in Japanese, with more tokens for it."""

    base: str
    steps: int
    rate: float
    tokens: int


@dataclass(frozen=True)
class Preset:
    """One nursery. `family` goes from small to large; `text_bytes` are those of each mix, `stories` its source."""

    name: str
    vocabulary: int
    length: int
    family: Mapping[str, tuple[Shape, Learning]]
    variants: tuple[Variant, ...] = ()
    continuation: Continuation | None = None
    children: Children | None = None
    log_checkpoints: int = 9
    linear_checkpoints: int = 8
    stories: int = 6000
    text_bytes: int = 2_000_000
    threads: int = 2
    device: Device = "cpu"
    seed: int = 42
    ablation: bool = field(default=False)

    @property
    def smallest(self) -> str:
        """The name of the smallest size."""
        return next(iter(self.family))

    @property
    def largest(self) -> str:
        """The name of the largest size."""
        return list(self.family)[-1]


def _shape(vocabulary: int, context: int, numbers: tuple[int, int, int, int, int], *, tied: bool = True) -> Shape:
    """A shape from (width, feed-forward width, layers, heads, key/value heads)."""
    width, wide, layers, heads, kv_heads = numbers
    return Shape(width, wide, layers, heads, kv_heads, vocabulary, context, tie_word_embeddings=tied)


def _variants(learning: Learning, sgd: float, adafactor: float) -> tuple[Variant, ...]:
    """The smallest size with its own optimiser as the control, two others, and two other languages."""
    steps, batch = learning.steps, learning.batch
    return (
        Variant("adamw", "mixed", learning),
        Variant("sgd", "mixed", Learning(steps, sgd, batch, "sgd")),
        Variant("adafactor", "mixed", Learning(steps, adafactor, batch, "adafactor")),
        Variant("english", "english", learning),
        Variant("japanese", "japanese", learning),
    )


def _micro() -> Preset:
    """For tests: seconds in all."""
    shapes = {
        "small": (_shape(384, 64, (16, 32, 1, 2, 1)), Learning(12, 1e-2, 2)),
        "large": (_shape(384, 64, (32, 64, 2, 4, 2)), Learning(12, 1e-2, 2)),
    }
    return Preset(
        "micro",
        384,
        32,
        shapes,
        (Variant("sgd", "mixed", Learning(6, 0.5, 2, "sgd")), Variant("english", "english", Learning(6, 1e-2, 2))),
        Continuation("english", 6, 1e-2, 16),
        Children((42,), (1e-3,), 2, 2, 2, 12),
        log_checkpoints=3,
        linear_checkpoints=3,
        stories=60,
        text_bytes=40_000,
        threads=1,
    )


def _demo() -> Preset:
    """Four minutes on two cores. Steps × 1,024 tokens: 0.2M, 0.4M and 1.5M parameters read 0.37M tokens each.

    One thread: two take a little less time where both cores are free, and three times as much where one is not.
    """
    short = Learning(140, 4e-3)
    return Preset(
        "demo",
        1536,
        128,
        {
            "0.2M": (_shape(1536, 256, (64, 176, 2, 4, 2)), Learning(360, 4e-3)),
            "0.4M": (_shape(1536, 256, (96, 256, 3, 6, 2)), Learning(360, 3e-3)),
            "1.5M": (_shape(1536, 256, (192, 512, 3, 6, 2)), Learning(360, 2e-3)),
        },
        _variants(short, 0.3, 0.03),
        Continuation("english", 140, 2e-3, 384),
        Children(sft_steps=16, dpo_steps=8),
        threads=1,
    )


def _small() -> Preset:
    """About half an hour on two cores."""
    return Preset(
        "small",
        2048,
        256,
        {
            "0.5M": (_shape(2048, 512, (96, 256, 3, 6, 2)), Learning(1500, 3e-3)),
            "1.6M": (_shape(2048, 512, (192, 512, 3, 6, 2)), Learning(1500, 2e-3)),
            "5M": (_shape(2048, 512, (320, 864, 4, 10, 2)), Learning(1500, 1.5e-3)),
        },
        _variants(Learning(250, 3e-3), 0.3, 0.03),
        Continuation("english", 250, 2e-3, 512),
        Children(sft_steps=60, dpo_steps=30),
        stories=30_000,
        text_bytes=12_000_000,
    )


def _medium() -> Preset:
    """For one GPU in bf16: 30M, 65M and 126M parameters, which read the text several times over."""
    wide = {"30M": (384, 1024, 14, 6, 2), "65M": (576, 1536, 15, 9, 3), "126M": (768, 2048, 18, 12, 4)}
    learning = Learning(6000, 6e-4, 32)
    return Preset(
        "medium",
        8192,
        1024,
        {name: (_shape(8192, 1024, numbers, tied=False), learning) for name, numbers in wide.items()},
        children=Children(sft_steps=100, dpo_steps=50),
        log_checkpoints=12,
        linear_checkpoints=12,
        stories=200_000,
        text_bytes=100_000_000,
        threads=0,
        device="cuda",
    )


def _ablation() -> Preset:
    """The smallest size of the demo, a part exchanged at a time, three seeds each."""
    demo = _demo()
    smallest = {demo.smallest: (demo.family[demo.smallest][0], Learning(140, 4e-3))}
    return Preset("ablation", demo.vocabulary, demo.length, smallest, ablation=True)


PRESETS: Mapping[str, Preset] = MappingProxyType(
    {preset.name: preset for preset in (_demo(), _small(), _medium(), _ablation(), _micro())}
)
"""Every preset by name; `micro` is what tests use."""
