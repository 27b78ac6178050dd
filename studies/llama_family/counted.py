"""What configs and formulas decide by counting: one sequence, how far YaRN's positions reach, what a norm costs."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import kaibo

FACTOR = 32.0
"""By how much the YaRN models of Llama 2 that are named for 128k scale positions."""

FAST, SLOW = 32.0, 1.0
"""Turns within the context above which YaRN leaves a pair of numbers as it is, and below which it scales it fully."""


def outcomes(folder: Path) -> list[kaibo.Outcome]:
    """What the config of Llama 2 7B says of the context, and what counting says of RMSNorm and of grouped queries."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    rms, layer = (operations(norm, int(config["hidden_size"])) for norm in (rms_norm, layer_norm))
    gqa = kaibo.note("family_why_3")
    return [
        kaibo.Outcome("context-shared", one_sequence(config), n=1),
        kaibo.Outcome("yarn", reach(config, FACTOR), n=1),
        kaibo.Outcome("rmsnorm", rms < layer, n=int(config["hidden_size"])),
        kaibo.Outcome("gqa", None, n=2, why=gqa),
    ]


def one_sequence(config: Mapping[str, Any]) -> bool:
    """Whether prompt and answer stand in one sequence: one stack that reads and writes, and one number of positions."""
    lengths = {key for key in config if key.endswith(("position_embeddings", "_positions", "context_length"))}
    return not config.get("is_encoder_decoder", False) and lengths == {"max_position_embeddings"}


def reach(config: Mapping[str, Any], factor: float) -> float:
    """How many positions stay within the angles of training under YaRN (Peng et al. 2023, section 3.2).

    A pair of numbers that made no whole turn in training knows only the angles it has seen; its frequency is divided
    by the factor, that of a pair with many turns is not, and between them the two are blended.
    """
    context = float(config["max_position_embeddings"])
    width = int(config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"])
    base = float(config.get("rope_theta", 10_000.0))
    reached = []
    for place in range(0, width, 2):
        frequency = base ** (-place / width)
        turns = context * frequency / (2 * math.pi)
        kept = min(max((turns - SLOW) / (FAST - SLOW), 0.0), 1.0)
        scaled = frequency * (kept + (1 - kept) / factor)
        if turns < 1:
            reached.append(context * frequency / scaled)
    return round(min(reached, default=math.inf), 6)


@dataclass
class Counter:
    """How many operations on numbers a formula has done."""

    done: int = 0


@dataclass(frozen=True)
class Counted:
    """A number that counts what is done with it."""

    value: float
    counter: Counter

    def _with(self, value: float) -> Counted:
        self.counter.done += 1
        return Counted(value, self.counter)

    def __add__(self, other: Counted) -> Counted:
        return self._with(self.value + other.value)

    def __sub__(self, other: Counted) -> Counted:
        return self._with(self.value - other.value)

    def __mul__(self, other: Counted) -> Counted:
        return self._with(self.value * other.value)

    def mean(self, several: Sequence[Counted]) -> Counted:
        """The mean of several, beginning with this one."""
        total = self
        for one in several[1:]:
            total = total + one
        return total * Counted(1 / len(several), self.counter)

    def inverse_root(self) -> Counted:
        """1/√(this + ε): an addition, a root and a division."""
        self.counter.done += 2
        return self._with(1 / math.sqrt(self.value + 1e-5))


def rms_norm(x: Sequence[Counted], gain: Sequence[Counted]) -> list[Counted]:
    """x ÷ √(mean(x²) + ε) · g."""
    squares = [one * one for one in x]
    scale = squares[0].mean(squares).inverse_root()
    return [one * scale * weight for one, weight in zip(x, gain, strict=True)]


def layer_norm(x: Sequence[Counted], gain: Sequence[Counted]) -> list[Counted]:
    """(x − mean(x)) ÷ √(mean((x − mean(x))²) + ε) · g + b."""
    middle = x[0].mean(x)
    left = [one - middle for one in x]
    return [one + weight for one, weight in zip(rms_norm(left, gain), gain, strict=True)]


def operations(norm: Any, width: int) -> int:
    """How many operations a norm of so many numbers takes."""
    counter = Counter()
    numbers = [Counted(1.0 + place, counter) for place in range(width)]
    norm(numbers, numbers)
    return counter.done
