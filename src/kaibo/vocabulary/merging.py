"""What a merge is asked to do, and what trimming keeps of one tensor: nouns that planning and merging share."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Literal

Method = Literal["ties", "task-arithmetic", "linear", "dare", "slerp"]
Scope = Literal["global", "tensor"]
Ties = Literal["reference", "exact"]
Vote = Literal["sum", "weighted", "count"]
Tie = Literal["majority", "plus"]
Divide = Literal["count", "weights", "none"]


VERSION = 2
"""Raised when the same recipe would give another merge: what an earlier kaibo wrote is then not taken for it."""


@dataclass(frozen=True)
class Trim:
    """What trimming keeps of a task vector in one tensor.

    Every |Δ| above `threshold`; of those equal to it the ones before position `cutoff`, in row-major order. What is
    not a number is kept, so that it is seen.
    """

    threshold: float
    cutoff: int


WHOLE = Trim(0.0, 0)
"""All of it: a zero more or less makes no difference."""


DENSITIES = {"ties": 0.2, "dare": 0.5}
"""Densities where none is given; the others keep everything."""


@dataclass(frozen=True)
class Recipe:
    """How models are merged into a base.

    `densities` and `weights` have an entry for each tuned model (of `linear` one for each model, the base first).
    TIES trims each task vector to its density in a `scope` with `ties` at the threshold dealt with as `largest`
    does, elects a sign by `vote` (over the entries w·Δ: of their sum with every |w| taken as 1, of their sum, or of
    how many are positive), takes `tie` where the vote is zero (the sign that won most elsewhere, or plus), sums w·Δ
    over the entries w·Δ of that sign and divides by their `count`, by the sum of their `weights` or by nothing. The
    result is base + `factor` · that. `least` is how many values any tensor or task vector keeps at least. `t` is how
    far `slerp` goes, `seed` is for `dare`.
    """

    method: Method = "ties"
    densities: tuple[float, ...] = ()
    weights: tuple[float, ...] = (1.0,)
    scope: Scope = "global"
    ties: Ties = "reference"
    vote: Vote = "sum"
    tie: Tie = "majority"
    divide: Divide = "count"
    factor: float = 1.0
    least: int = 0
    t: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        """Without densities the method has its usual one; what does not trim keeps everything."""
        if not self.densities:
            object.__setattr__(self, "densities", (DENSITIES.get(self.method, 1.0),))

    def digest(self) -> str:
        """32 hex digits that name the recipe and the way in which it is carried out.

        >>> Recipe().digest() == Recipe(seed=1).digest()
        False
        """
        return hashlib.sha256(json.dumps([VERSION, asdict(self)], sort_keys=True).encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Rule:
    """How one tensor is merged: what the recipe comes to for it.

    `weights` multiply the task vectors (of `linear` and `slerp` the models themselves, the base first); `trims` say
    what is kept of each, `tie` is the sign taken where a vote is zero, `keys` are the seeds of what `dare` drops.
    """

    recipe: Recipe
    weights: tuple[float, ...]
    trims: tuple[Trim, ...] = ()
    tie: float = 1.0
    keys: tuple[int, ...] = ()


@dataclass(frozen=True)
class Ballot:
    """How the trimmed task vectors of one tensor agree, position by position.

    Of `n` positions `any` have an entry of at least one task vector, `conflict` entries of both signs; `plus` and
    `minus` are the signs that won, `tied` the positions with entries where the vote was zero. `kept` says how many
    entries of each task vector survive trimming, `elected` how many of those have the sign that won (with ties at
    plus). `nonfinite` counts the entries of each that are NaN or infinite.
    """

    n: int
    any: int
    conflict: int
    plus: int
    minus: int
    tied: int
    kept: tuple[int, ...]
    elected: tuple[int, ...]
    nonfinite: tuple[int, ...] = ()
