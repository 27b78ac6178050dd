"""What `kaibo diff` says of adapters beside their differences, and of grids: rank, overlap, what storing would do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

from kaibo.chapters.diff import adapters as found_of
from kaibo.chapters.diff.adapter_rows import AdapterRow, OverlapFound, QuantisedRow, StoringRow
from kaibo.chapters.diff.subspaces import Spaces, angle_cosines, frobenius_square, spaces
from kaibo.collect import Options, granted_workers
from kaibo.collect.differences import Compared
from kaibo.collect.storing import packed, take_storing
from kaibo.desk.addresses import OnError, raising
from kaibo.desk.measuring import Settings
from kaibo.errors import KaiboError, UsageError
from kaibo.models.adapters import Applied, applied, open_adapter
from kaibo.models.derived.updates import Update, values_of
from kaibo.vocabulary import By, Finding, Tensor, sums
from kaibo.vocabulary.counts.rounding import GRIDS, QUANTISED, LowRankRow, OverlapRow, Placed, RoundingRow


@dataclass(frozen=True)
class Adapters:
    """What was found of the adapters among the tuned models, and of grids over the base.

    `adapters` is what each is, `storing` what storing it would do, `overlaps` how far every two act on the same,
    `quantised` the resolution of the grids that were asked for.
    """

    adapters: Finding[AdapterRow]
    storing: Finding[StoringRow]
    overlaps: Finding[OverlapFound]
    quantised: Finding[QuantisedRow]

    @property
    def findings(self) -> tuple[Finding[Any], ...]:
        """All four in the order in which they are shown."""
        return self.adapters, self.storing, self.overlaps, self.quantised


def check_grids(storing: Sequence[str], quantised: Sequence[str]) -> None:
    """Raises UsageError for a grid that there is not."""
    for option, names, known in (("--storing", storing, GRIDS), ("--quantised", quantised, QUANTISED)):
        for name in names:
            if name not in known:
                raise UsageError(f'{option}: no grid "{name}"', next=f"choose from {', '.join(known)}")


def adapters_of(
    compared: Sequence[Compared],
    by: By = "model",
    *,
    storing: Sequence[str] = ("bf16", "nf4"),
    quantised: Sequence[str] = (),
    settings: Settings | None = None,
    on_error: OnError | None = None,
) -> Adapters:
    """What is to be said of the adapters among models that were compared with one base, and of grids over it.

    `storing` are the grids that base + ΔW is rounded to, `quantised` those that the base is rounded to alone.
    What cannot be read is given to `on_error`, and what was rounded before it stays. Raises UsageError for an unknown
    grid.
    """
    check_grids(storing, quantised)
    settings, report = settings or Settings(), on_error or raising
    options = Options(granted_workers(settings.workers), progress=settings.progress)
    held = [(one, found) for one in compared if (found := _applied(one)) is not None]
    known = {id(one): {update.weight.canonical: _spaces(update) for update in found.updates} for one, found in held}
    ranks = [row for one, found in held for row in _low_rank(one, found, known[id(one)])]
    rounded = [row for one, found in held for row in _told(_storing(one, found, storing, options), report)]
    crossed = [
        row
        for (one, a), (other, b) in combinations(held, 2)
        for row in _overlaps((one, a, known[id(one)]), (other, b, known[id(other)]))
    ]
    return Adapters(
        found_of.adapters(ranks, by),
        found_of.storing(rounded, by),
        found_of.overlaps(crossed, by),
        found_of.quantised(list(_told(_quantised(compared, quantised, options), report)), by),
    )


def _told(rows: Iterator[RoundingRow], report: OnError) -> Iterator[RoundingRow]:
    try:
        yield from rows
    except KaiboError as error:
        if error.kind == "stopped":
            raise
        report(error)


def _applied(one: Compared) -> Applied | None:
    adapter = open_adapter(one.tuned.model.address)
    return None if adapter is None else applied(adapter, one.base.model)


def _placed(one: Compared, tensor: Tensor) -> Placed:
    return Placed(one.base.model.address, one.tuned.model.address, tensor.canonical, tensor.layer, tensor.role)


def _spaces(update: Update) -> Spaces:
    return spaces(values_of(update.factors.outer), values_of(update.factors.inner), update.factors.scale)


def _low_rank(one: Compared, found: Applied, known: dict[str, Spaces]) -> Iterator[LowRankRow]:
    """Each update; its norm from the factors beside the one that was counted."""
    streamed = {row.difference.tensor: row.difference.census for row in one.rows}
    for update in found.updates:
        factors, census = update.factors, streamed.get(update.weight.canonical)
        yield LowRankRow(
            at=_placed(one, update.weight),
            kind=found.adapter.config.kind,
            rank=known[update.weight.canonical].rank,
            parameters=factors.parameters,
            spectrum=tuple(known[update.weight.canonical].spectrum.tolist()),
            square=frobenius_square(values_of(factors.outer), values_of(factors.inner), factors.scale),
            streamed=None if census is None else sums([census]).square,
            plain=factors.magnitude is None and update.weight.canonical not in found.replaced,
        )


def _storing(one: Compared, found: Applied, grids: Sequence[str], options: Options) -> Iterator[RoundingRow]:
    for stored in take_storing(found.updates if grids else (), grids, options, one.tuned.model.name):
        for rounding in stored.roundings:
            yield RoundingRow(_placed(one, stored.tensor), rounding)


Held = tuple[Compared, Applied, dict[str, Spaces]]


def _overlaps(first: Held, second: Held) -> Iterator[OverlapRow]:
    """The weights that both adapters change."""
    (one, a, own), (other, b, others) = first, second
    theirs = {update.weight.canonical: update for update in b.updates}
    for update in a.updates:
        if update.weight.canonical not in theirs:
            continue
        mine, yours = own[update.weight.canonical], others[update.weight.canonical]
        yield OverlapRow(
            a=_placed(one, update.weight),
            b=_placed(other, theirs[update.weight.canonical].weight),
            outputs=angle_cosines(mine.outputs, yours.outputs),
            inputs=angle_cosines(mine.inputs, yours.inputs),
            dimensions=(mine.outputs.shape[0], mine.inputs.shape[0]),
            ranks=(mine.rank, yours.rank),
        )


def _quantised(compared: Sequence[Compared], grids: Sequence[str], options: Options) -> Iterator[RoundingRow]:
    """The base is rounded once for all tuned models; Δ of each is what was counted."""
    if not (grids and compared):
        return
    base = compared[0].base.model
    matrices = [tensor for tensor in base.tensors if packed(tensor)]
    rounded = {stored.tensor.canonical: stored for stored in take_storing(matrices, grids, options, base.name)}
    for one in compared:
        for row in one.rows:
            census, stored = row.difference.census, rounded.get(row.difference.tensor)
            if census is None or stored is None:
                continue
            delta = sums([census])
            for rounding in stored.roundings:
                known = replace(rounding, delta=delta.absolute, delta_square=delta.square)
                yield RoundingRow(_placed(one, stored.tensor), known)
