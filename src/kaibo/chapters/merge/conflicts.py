"""Where task vectors agree and where they are in conflict: what survives trimming and election, by layer and role."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kaibo.chapters.merge.rows import CONFLICT_MAP, CONFLICTS, ConflictRow
from kaibo.version import __version__
from kaibo.vocabulary import LEVELS, By, Finding
from kaibo.vocabulary.merging import Ballot
from kaibo.words import Note, about, note


@dataclass(frozen=True)
class Polled:
    """The ballot of one tensor, and where the tensor stands in the model."""

    tensor: str
    layer: int | None
    role: str
    ballot: Ballot


def conflicts(polled: Sequence[Polled], by: By = "model", tuned: Sequence[str] = ()) -> Finding[ConflictRow]:
    """The report at one level; `tuned` are the addresses of the models whose task vectors these are, in order."""
    rows = [_row(by, key, members) for key, members in _groups(polled, by)]
    return Finding(CONFLICTS, tuple(rows), NOTES, _source(tuned))


def nonfinite_notes(polled: Sequence[Polled], tuned: Sequence[str]) -> tuple[Note, ...]:
    """What each tuned model brings into the merge that is no number: how much, in which tensor first."""
    found = []
    for place, address in enumerate(tuned):
        broken = {one.tensor: one.ballot.nonfinite[place] for one in polled if one.ballot.nonfinite[place]}
        if broken:
            first, name = next(iter(broken)), os.path.basename(address.rstrip("/")) or address
            counts = {"count": sum(broken.values()), "tensors": len(broken), "first": broken[first]}
            found.append(about(name, note("merge_nonfinite", **counts, tensor=first)))
    return tuple(found)


NOTES = (
    note("merge_conflict"),
    note("merge_elected"),
)


def conflict_map(polled: Sequence[Polled], tuned: Sequence[str] = ()) -> Finding[ConflictRow]:
    """Every role in every layer: what the map over depth draws."""
    cells: dict[tuple[int, str], list[Polled]] = {}
    for one in polled:
        if one.layer is not None:
            cells.setdefault((one.layer, one.role), []).append(one)
    rows = [_row("cell", f"{layer} {role}", cells[layer, role]) for layer, role in sorted(cells)]
    return Finding(CONFLICT_MAP, tuple(rows), NOTES, _source(tuned))


def _source(tuned: Sequence[str]) -> dict[str, object]:
    return {"tuned": list(tuned), "kaibo": __version__}


def _groups(polled: Sequence[Polled], by: By) -> Iterator[tuple[str | int | None, list[Polled]]]:
    assert by in LEVELS, "the level was checked by the caller"
    members: dict[str | int | None, list[Polled]] = {}
    for one in polled:
        key = {"model": None, "layer": one.layer, "role": one.role, "tensor": one.tensor}[by]
        members.setdefault(key, []).append(one)
    for key in sorted(members, key=lambda key: (key is None, key if isinstance(key, int) else 0, str(key))):
        yield key, members[key]


def _row(by: By | str, key: str | int | None, members: Sequence[Polled]) -> ConflictRow:
    ballots = [one.ballot for one in members]
    n, touched = sum(one.n for one in ballots), sum(one.any for one in ballots)
    kept = [sum(column) for column in zip(*(one.kept for one in ballots), strict=True)]
    elected = [sum(column) for column in zip(*(one.elected for one in ballots), strict=True)]
    layers, roles = {one.layer for one in members}, {one.role for one in members}
    row = ConflictRow(
        by=by,
        key=key,
        layer=layers.pop() if len(layers) == 1 else None,
        role=roles.pop() if len(roles) == 1 else None,
        n=n,
        touched=touched,
        conflict=_share(sum(one.conflict for one in ballots), touched),
        tied_votes=_share(sum(one.tied for one in ballots), touched),
        kept=_share(sum(kept), n * len(kept)),
        elected=_share(sum(elected), sum(kept)),
        kept_each=tuple(_share(count, n) for count in kept),
        nonfinite=sum(sum(one.nonfinite) for one in ballots),
        elected_each=tuple(_share(won, count) for won, count in zip(elected, kept, strict=True)),
    )
    if not touched:
        row.why.update(dict.fromkeys(("conflict", "tied_votes", "elected"), "no task vector has an entry here"))
    return row


def _share(part: int, whole: int) -> float:
    return part / whole if whole else math.nan
