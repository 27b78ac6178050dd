"""`kaibo census`: read weights once, count every value, keep the counts."""

from __future__ import annotations

from collections.abc import Iterable

from kaibo.chapters.census.rows import CENSUS, CensusRow
from kaibo.collect import Collected
from kaibo.desk.addresses import Address, OnError
from kaibo.desk.measuring import Settings, measured, notes_of
from kaibo.version import __version__
from kaibo.vocabulary import Finding


def census(
    models: Address | Iterable[Address], *, settings: Settings | None = None, on_error: OnError | None = None
) -> Finding[CensusRow]:
    """The census of every model, in the store afterwards; tensors that the store knows are not read.

    Raises KaiboError's family as described in `kaibo.errors`.
    """
    collected = list(measured(models, settings, on_error))
    notes = tuple(told for one in collected for told in notes_of(one))
    provenance = {"models": {one.model.address: one.model_id for one in collected}, "kaibo": __version__}
    return Finding(CENSUS, tuple(_row(one) for one in collected), notes, provenance)


def _row(collected: Collected) -> CensusRow:
    weights = [row for row in collected.rows if row.census is not None]
    return CensusRow(
        model=collected.model.address,
        model_id=collected.model_id or None,
        family=collected.model.family,
        tensors=len(weights),
        values=sum(row.n for row in weights),
        listed=len(collected.rows) - len(weights),
        read=collected.measured,
        known=collected.known,
        bytes=collected.bytes,
        seconds=collected.seconds,
        why={} if collected.model_id else {"model_id": "some tensors could not be read"},
    )
