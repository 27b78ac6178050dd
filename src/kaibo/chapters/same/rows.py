"""The columns of its findings; field names are the names that `--json` prints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kaibo.vocabulary.kinds import Kind


@dataclass(frozen=True)
class TensorVerdict:
    """One tensor of two models: `identical`, `layout`, `within`, `near`, `changed`, and the numbers that say so.

    Of `looked` of its `n` values `equal` are equal. `inside` is the share that lies in the cells of the side that is
    packed or rounded, `in_step` the share that lies at most half a cell outside, so within a step of the code's value;
    `expected_…` are those of unrelated values of the same distribution (all None where no side is packed or rounded).
    `far` values lie more than a whole cell outside. `relative` is ‖a − b‖/‖a‖, `largest` the greatest |a − b|,
    `begins` the place of the first value that does not fit.
    """

    name: str
    verdict: str
    layout: str
    n: int
    looked: int
    equal: int
    inside: float | None
    expected_inside: float | None
    in_step: float | None
    expected_in_step: float | None
    far: int
    relative: float | None
    largest: float | None
    begins: tuple[int, ...] | None

    @property
    def tensor(self) -> str:
        """`name`, under the name of its column."""
        return self.name

    @property
    def in_cells(self) -> float | None:
        """`inside`, under the name of its column."""
        return self.inside


@dataclass(frozen=True)
class Field:
    """A setting, token or template that differs; `contradicts` where both sides say it, so that they contradict."""

    what: str
    a: Any
    b: Any
    contradicts: bool


@dataclass(frozen=True)
class SameRow:
    """Two models: `same`, `near` or `different`, how many tensors of each verdict, and what was compared."""

    a: str
    b: str
    verdict: str
    n_identical: int
    n_layout: int
    n_within: int
    n_near: int
    n_changed: int
    inside: float | None
    expected_inside: float | None
    tensors: tuple[TensorVerdict, ...]
    only_in_a: tuple[str, ...]
    only_in_b: tuple[str, ...]
    fields: tuple[Field, ...]
    certificate: Mapping[str, Any] = field(default_factory=dict)
    why: Mapping[str, str] = field(default_factory=dict)

    @property
    def in_cells(self) -> float | None:
        """`inside`, under the name of its column."""
        return self.inside


SAME = Kind(
    "same",
    SameRow,
    __package__,
    terms={"verdict": "sameness"},
    columns=(
        "a",
        "b",
        "verdict",
        "n_identical",
        "n_layout",
        "n_within",
        "n_near",
        "n_changed",
        "in_cells",
        "expected_inside",
    ),
)
SAME_TENSORS = Kind(
    "same-tensors",
    TensorVerdict,
    __package__,
    terms={"verdict": "sameness"},
    columns=(
        "tensor",
        "verdict",
        "layout",
        "n",
        "in_cells",
        "expected_inside",
        "in_step",
        "expected_in_step",
        "far",
        "relative",
        "largest",
        "begins",
    ),
)
SAME_FIELDS = Kind("same-fields", Field, __package__)
