"""Two models in; which tensor of the one meets which of the other, and what meets nothing, out. Never fails.

Tensors meet by canonical name; then a fused tensor meets the parts of it that the other model holds apart; then by
what they are for (layer, expert, role); then a stored head meets the embedding that stands for it (`meeting`). What
meets is laid out alike (`fitting`): transposed, re-ordered, shifted, tables by token. All of it is said.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kaibo.models.packings.parts import of_activations
from kaibo.models.pairing.aligning import Vocabularies
from kaibo.models.pairing.fitting import Fitted, Fitting
from kaibo.models.pairing.meeting import Met, left_over_reason, meet, tying_notes
from kaibo.models.pairing.sides import Side
from kaibo.vocabulary import Model, Tensor
from kaibo.words import Note, about, combined, note


@dataclass(frozen=True, eq=False)
class Pair:
    """Two tensors of one shape that mean the same; of tables with other vocabularies the rows they share.

    `layout` says what was done to make them lie alike, "" where they did.
    """

    base: Tensor
    tuned: Tensor
    layout: str = ""


@dataclass(frozen=True)
class Unmatched:
    """What has nothing to be compared with: a tensor, or rows of one.

    `side` is `base` or `tuned`, `n` how many values are left out and `share` their part of that model's weights.
    """

    side: str
    tensor: str
    shape: tuple[int, ...]
    n: int
    share: float
    why: str


@dataclass(frozen=True)
class Mapped:
    """A pair whose names or layouts differ: the tensor of each side (`name[part]` for a part), and how they met."""

    base: str
    tuned: str
    how: str


@dataclass(frozen=True)
class Coverage:
    """How much of one model is compared, as a share of its values and of its bytes."""

    side: str
    values: float
    bytes: float


@dataclass(frozen=True)
class Pairing:
    """All pairs of two models in the order of their names, what is unmatched, and how tables were aligned.

    `mapping` lists the pairs that did not meet as they are, `coverage` what share of each model the pairs hold.
    """

    pairs: tuple[Pair, ...]
    unmatched: tuple[Unmatched, ...] = ()
    notes: tuple[Note, ...] = ()
    mapping: tuple[Mapped, ...] = ()
    coverage: tuple[Coverage, ...] = ()

    @property
    def coverage_note(self) -> Note:
        """The share of each model that is compared, in a sentence."""
        shares = {one.side: _percent(one.values) for one in self.coverage}
        return note("diff_coverage", **shares, **{f"{one.side}_bytes": _percent(one.bytes) for one in self.coverage})


def _percent(share: float) -> str:
    """A share as a percentage that says 100 only where nothing is missing."""
    return f"{100 * share:.4g} %" if share == 1 or share < 0.9999 else f"{int(share * 1e6) / 1e4} %"


@dataclass(frozen=True)
class _Lone:
    side: Side
    tensor: Tensor
    n: int
    why: str


def pair_models(base: Model, tuned: Model, vocabularies: Vocabularies = (None, None)) -> Pairing:
    """The tensors of two models that mean the same, laid out alike.

    `vocabularies` are (token → row) of base and tuned, None where there is no tokenizer. Embeddings and heads are
    aligned by token where both are known, else by row, which a note says. Nothing is cropped in silence: rows and
    tensors left over are listed. A few rows of q, k, norms and tied heads are read where only they tell a layout.
    """
    sides = Side("base", base), Side("tuned", tuned)
    meeting = meet(*sides)
    fitting = Fitting(sides, vocabularies, meeting.met)
    weights = [one for one in meeting.met if not of_activations(one.base.canonical)]
    met = sorted(weights, key=lambda one: (one.base.canonical, one.tuned.canonical))
    fitted = [(one, fitting.fitted(one)) for one in met]
    lone = [left for one, fit in fitted for left in _left(sides, one, fit)]
    for place, side in enumerate(sides):
        lone += [
            _Lone(side, tensor, tensor.size, left_over_reason(meeting, place, tensor))
            for tensor in meeting.left[place].values()
            if not of_activations(tensor.canonical)
        ]
    pairs = tuple(Pair(*fit.pair, _said(one, fit)) for one, fit in fitted if fit.pair is not None)
    mapping = tuple(_mapped(fitted))
    notes = [*_notes(fitted), *(about(one.base.canonical, fit.rows) for one, fit in fitted if fit.rows)]
    notes += [told for side in sides for told in tying_notes(side)]
    totals = {
        side.label: _total([tensor for tensor in side.model.tensors if not of_activations(tensor.canonical)])
        for side in sides
    }
    return Pairing(pairs, tuple(_listed(lone, totals)), tuple(notes), mapping, tuple(_coverage(lone, totals)))


def _said(met: Met, fit: Fitted) -> str:
    return combined([met.how, fit.layout])


def _left(sides: tuple[Side, Side], met: Met, fit: Fitted) -> Iterator[_Lone]:
    both = met.base, met.tuned
    if fit.pair is None:
        yield from (_Lone(side, tensor, tensor.size, fit.why) for side, tensor in zip(sides, both, strict=True))
    for place, n, why in fit.left:
        yield _Lone(sides[place], both[place], n, why)


def _mapped(fitted: Sequence[tuple[Met, Fitted]]) -> Iterator[Mapped]:
    for met, fit in fitted:
        how = combined([_said(met, fit), fit.rows])
        if fit.pair is not None and how:
            yield Mapped(met.base.canonical, met.tuned.canonical, how)


def _notes(fitted: Sequence[tuple[Met, Fitted]]) -> Iterator[Note]:
    """One line for each way in which pairs met, with how many there are and the first of them."""
    ways: dict[str, list[Met]] = {}
    for met, fit in fitted:
        if fit.pair is not None and (said := _said(met, fit)):
            ways.setdefault(said, []).append(met)
    for said, those in ways.items():
        base, tuned = those[0].base.canonical, those[0].tuned.canonical
        first = base if base == tuned else note("pair_with", base=base, tuned=tuned)
        yield about(first if len(those) == 1 else note("pair_first", count=len(those), name=first), said)


_Total = tuple[int, int]


def _total(tensors: Sequence[Tensor]) -> _Total:
    """Values and bits of all tensors."""
    return sum(tensor.size for tensor in tensors), sum(tensor.size * tensor.dtype.bits for tensor in tensors)


def _listed(lone: Sequence[_Lone], totals: dict[str, _Total]) -> Iterator[Unmatched]:
    for one in lone:
        values, _ = totals[one.side.label]
        share = one.n / values if values else 0.0
        yield Unmatched(one.side.label, one.tensor.canonical, one.tensor.shape, one.n, share, one.why)


def _coverage(lone: Sequence[_Lone], totals: dict[str, _Total]) -> Iterator[Coverage]:
    for label, (values, bits) in totals.items():
        left = [one for one in lone if one.side.label == label]
        missing = sum(one.n for one in left), sum(one.n * one.tensor.dtype.bits for one in left)
        shares = [1 - part / whole if whole else 1.0 for part, whole in zip(missing, (values, bits), strict=True)]
        yield Coverage(label, *shares)
