"""Two tensors that mean the same, laid out alike: transposed, re-ordered, shifted, scaled, tables by token.

What is known from the anatomies is undone; what is not (the order of q and k, a norm that already holds its 1) is
recognised from a few rows. Each step says what it did.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import prod

import numpy as np

from kaibo.errors import KaiboError
from kaibo.models.packings import group_of
from kaibo.models.pairing.aligning import Aligned, Vocabularies, aligned
from kaibo.models.pairing.meeting import Met
from kaibo.models.pairing.sides import Side, Slot
from kaibo.models.rotary import SAME, order_by_weights, to_half, to_interleaved
from kaibo.models.rows import chosen_rows
from kaibo.models.views import renamed, shifted
from kaibo.vocabulary import Tensor, floats_of
from kaibo.words import about, combined, note

QUERIES_AND_KEYS = ("attention.q", "attention.k")
NORMS = ("norm", "attention.q_norm", "attention.k_norm")
LARGEST_NORM = 1 << 20


@dataclass(frozen=True, eq=False)
class Fitted:
    """The two sides laid out alike, None where they cannot be, and `why`.

    `layout` says what was undone, `rows` how the rows of a table were aligned; `left` are (side, rows, reason).
    """

    pair: tuple[Tensor, Tensor] | None
    layout: str = ""
    rows: str = ""
    why: str = ""
    left: tuple[tuple[int, int, str], ...] = ()


@dataclass(frozen=True)
class Fitting:
    """What is known of the layouts of two models, for all their pairs."""

    sides: tuple[Side, Side]
    vocabularies: Vocabularies
    met: Sequence[Met] = field(repr=False)

    def fitted(self, met: Met) -> Fitted:
        """One pair, laid out alike."""
        unfit = [
            why for side, tensor in zip(self.sides, (met.base, met.tuned), strict=True) if (why := side.why_not(tensor))
        ]
        if unfit:
            return Fitted(None, why=combined(dict.fromkeys(unfit)))
        base, tuned = met.base, met.tuned
        groups = [(side.label, group_of(tensor)) for side, tensor in zip(self.sides, (base, tuned), strict=True)]
        said: list[str] = [about(label, group.how) for label, group in groups if group is not None]
        base, tuned, what = self._outputs_first(base, tuned)
        said += [what] if what else []
        tuned, what = self._turned(met, tuned)
        said += [what] if what else []
        base, tuned, what = self._shifted(met, base, tuned)
        said += [what] if what else []
        layout = combined(said)
        if self._are_tables(base, tuned):
            return self._aligned(base, tuned, layout)
        if base.shape != tuned.shape:
            return Fitted(None, why=note("lone_shape", base=_shape(base), tuned=_shape(tuned)))
        return Fitted((_with_role(base, met.slot), tuned), layout)

    def _outputs_first(self, base: Tensor, tuned: Tensor) -> tuple[Tensor, Tensor, str]:
        """GPT-2's Conv1D against a model that stores outputs first."""
        turned = [side.by_outputs(tensor) for side, tensor in zip(self.sides, (base, tuned), strict=True)]
        which = [one is not tensor for one, tensor in zip(turned, (base, tuned), strict=True)]
        if which[0] == which[1] or turned[0].shape != turned[1].shape:
            return base, tuned, ""
        label = self.sides[which.index(True)].label
        return turned[0], turned[1], note(f"diff_conv1d_{label}")

    @cached_property
    def _head_size(self) -> int:
        return self.sides[0].sizes.get("head_size") or self.sides[1].sizes.get("head_size") or 0

    @cached_property
    def _rotary(self) -> int:
        return self.sides[0].rotary or self.sides[1].rotary or 0

    @cached_property
    def order(self) -> str:
        """The order of the tuned model's q and k, where it is not the base's: `interleaved` or `half`, else ""."""
        if not self._rotary:
            return ""
        pairs = [met for met in self.met if _turns(met) and self._turnable(met.base) and self._turnable(met.tuned)]
        pairs = [met for met in pairs if met.base.shape == met.tuned.shape and len(met.base.shape) == 2]
        found = {
            SAME
            if met.base.source_key is not None and met.base.source_key == met.tuned.source_key
            else order_by_weights(met.base, met.tuned, self._head_size, self._rotary)
            for met in _spread(pairs)
        }
        if len(found) == 1 and found != {""}:
            return found.pop().replace(SAME, "")
        before, after = (side.layout.get("rope") for side in self.sides)
        return str(after) if found == {""} and before != after and None not in (before, after) else ""

    def _turnable(self, tensor: Tensor) -> bool:
        return tensor.dtype.measurable and bool(tensor.size) and tensor.shape[0] % self._head_size == 0

    def _turned(self, met: Met, tuned: Tensor) -> tuple[Tensor, str]:
        if not _turns(met) or not self.order or not self._turnable(tuned):
            return tuned, ""
        rule = to_half if self.order == "interleaved" else to_interleaved
        rows = rule(tuned.shape[0] // self._head_size, self._head_size, self._rotary)
        return chosen_rows(tuned, rows), note("diff_rotary", order=self.order)

    @cached_property
    def _plus(self) -> tuple[float, float]:
        """What is added to the norms of base and tuned: 1 where only one side's scale is 1 + weight."""
        if any("norm_offset" not in side.layout for side in self.sides):
            return 0.0, 0.0
        base, tuned = (float(side.layout["norm_offset"]) for side in self.sides)
        if base != tuned:
            return base, tuned
        found = {_step(met) for met in _spread([met for met in self.met if self._is_norm(met)])} if base else {0}
        step = found.pop() if len(found) == 1 else 0
        return float(step == 1), float(step == -1)

    @staticmethod
    def _is_norm(met: Met) -> bool:
        return met.base.role in NORMS and met.base.shape == met.tuned.shape and 0 < met.base.size <= LARGEST_NORM

    def _shifted(self, met: Met, base: Tensor, tuned: Tensor) -> tuple[Tensor, Tensor, str]:
        """Gemma's scale is 1 + weight: compared with scales, the weights get their 1."""
        plus = self._plus if self._is_norm(met) else (0.0, 0.0)
        if plus[0] == plus[1]:
            return base, tuned, ""
        said = note("diff_offset", side=note(f"columns.{self.sides[0 if plus[0] else 1].label}"))
        return (shifted(base, 1.0), tuned, said) if plus[0] else (base, shifted(tuned, 1.0), said)

    def _are_tables(self, base: Tensor, tuned: Tensor) -> bool:
        if base.shape[1:] != tuned.shape[1:] or not base.shape:
            return False
        if base.role == tuned.role == "embedding.position":
            return base.shape != tuned.shape
        return self.sides[0].holds_tokens(base) and self.sides[1].holds_tokens(tuned)

    def _aligned(self, base: Tensor, tuned: Tensor, layout: str) -> Fitted:
        tokens = base.role != "embedding.position"
        found = self._alignment(base.shape[0], tuned.shape[0], tokens=tokens)
        if found.rows.size == 0 and base.size and tuned.size:
            return Fitted(None, why=note("lone_no_row"))
        left = tuple(_left(found, (base, tuned)))
        return Fitted((chosen_rows(base, found.rows), chosen_rows(tuned, found.others)), layout, found.how, left=left)

    def _alignment(self, base_rows: int, tuned_rows: int, *, tokens: bool) -> Aligned:
        key = base_rows, tuned_rows, tokens
        if key not in self._alignments:
            found = aligned(base_rows, tuned_rows, self.vocabularies if tokens else (None, None))
            rows = note("diff_positions", count=min(base_rows, tuned_rows), base=base_rows, tuned=tuned_rows)
            self._alignments[key] = found if tokens else Aligned(found.rows, found.others, rows)
        return self._alignments[key]

    @cached_property
    def _alignments(self) -> dict[tuple[int, int, bool], Aligned]:
        return {}


def _with_role(tensor: Tensor, slot: Slot | None) -> Tensor:
    """The tensor under the role of its slot, where the anatomy of its own family knows none for it."""
    if tensor.role != "other" or slot is None:
        return tensor
    return renamed(tensor, role=slot.role if slot.ending == "weight" else "bias")


def _shape(tensor: Tensor) -> str:
    return "×".join(map(str, tensor.shape)) or note("one_number")


def _turns(met: Met) -> bool:
    return met.slot is not None and met.slot.role in QUERIES_AND_KEYS and len(met.tuned.shape) in (1, 2)


def _spread(pairs: Sequence[Met]) -> list[Met]:
    """The first, the middle and the last."""
    return [pairs[place] for place in sorted({0, len(pairs) // 2, len(pairs) - 1})] if pairs else []


def _left(found: Aligned, tables: tuple[Tensor, Tensor]) -> list[tuple[int, int, str]]:
    left: list[tuple[int, int, str]] = []
    for place, (table, rows) in enumerate(zip(tables, (found.rows, found.others), strict=True)):
        count = table.shape[0] - rows.size
        padding = found.padding[place]
        some = note("lone_rows_padding" if padding else "lone_rows", count=count, padding=padding)
        if count:
            left.append((place, count * prod(table.shape[1:]), some))
    return left


def _step(met: Met) -> int:
    """1 where the tuned is the base plus 1 but for little, −1 where it is less by 1, else 0."""
    try:
        before, after = (floats_of(side).astype(np.float64) for side in (met.base, met.tuned))
    except KaiboError:
        return 0  # the pass will meet the same fault and say it
    with np.errstate(invalid="ignore", over="ignore"):
        difference = after - before
    for step in (1, -1):
        if np.abs(difference - step).mean() < np.abs(difference).mean() / 4:
            return step
    return 0
