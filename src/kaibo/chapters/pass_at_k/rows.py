"""The columns of its findings; field names are the names that `--json` prints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kaibo.vocabulary.kinds import Kind


@dataclass(frozen=True)
class Tally:
    """One problem: how many samples were judged, and how many of them passed."""

    problem: str
    n: int
    passed: int


@dataclass(frozen=True)
class PassAtKRow:
    """pass@k of one file of samples: the mean over problems of the unbiased estimate 1 − C(n − c, k)/C(n, k).

    `n` is the number of problems, over which `stderr` and the 95 % interval are taken. `samples` counts the judged
    programs, `fewest` and `most` those of a problem; `verdicts` how many of them ended in which way. `sandbox` names
    the walls behind which they ran. `value` is None (and `why` says so) where a problem has fewer than k samples.
    """

    model: str
    k: int
    value: float | None
    stderr: float | None
    low: float | None
    high: float | None
    n: int
    samples: int
    fewest: int
    most: int
    verdicts: Mapping[str, int]
    sandbox: str
    why: Mapping[str, str] = field(default_factory=dict)

    @property
    def problems(self) -> int:
        """`n` under the name that tables give it."""
        return self.n


@dataclass(frozen=True)
class PassPair:
    """Two files of samples over the problems that both tried: `difference` is a − b.

    Its standard error and 95 % interval are those of the mean difference by problem. `only_a` and `only_b` count the
    problems that one of them alone solves at all; `q` is the p-value of a permutation of signs, corrected over all k.
    """

    a: str
    b: str
    k: int
    difference: float
    stderr: float | None
    low: float | None
    high: float | None
    p: float | None
    q: float | None
    only_a: int
    only_b: int
    n: int

    @property
    def problems(self) -> int:
        """`n` under the name that tables give it."""
        return self.n


PASS_AT_K = Kind(
    "pass-at-k",
    PassAtKRow,
    __package__,
    columns=("model", "k", "value", "stderr", "low", "high", "problems", "samples", "sandbox"),
)
PASS_PAIRS = Kind(
    "pass-pairs",
    PassPair,
    __package__,
    columns=("a", "b", "k", "difference", "stderr", "low", "high", "p", "q", "only_a", "only_b", "problems"),
)
