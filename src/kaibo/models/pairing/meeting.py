"""Which tensors of two models mean the same: by name, part by part, by what they are for, and tied heads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from kaibo.errors import KaiboError, escaped
from kaibo.models.anatomy.parts import fused_layout
from kaibo.models.pairing.sides import HEAD, Side, Slot
from kaibo.models.views import renamed
from kaibo.vocabulary import Tensor
from kaibo.words import Note, about, note

BY_SLOT = note("pair_slot")
SAMPLED_ROWS = 64
"""Rows of a head and its embedding that are read to see whether they are the same table."""


@dataclass(frozen=True, eq=False)
class Met:
    """Two tensors that mean the same; `how` says how they met, "" where it was by name."""

    base: Tensor
    tuned: Tensor
    how: str = ""
    slot: Slot | None = None


@dataclass
class Meeting:
    """What met so far, and of each side what is left, by canonical name, with the slots of what is left."""

    sides: tuple[Side, Side]
    met: list[Met] = field(default_factory=list)
    left: tuple[dict[str, Tensor], dict[str, Tensor]] = field(default_factory=lambda: ({}, {}))
    slots: tuple[dict[Slot, str], dict[Slot, str]] = field(default_factory=lambda: ({}, {}))

    def leave(self, place: int, tensor: Tensor, slot: Slot | None) -> None:
        """Keeps a tensor of a side for the steps to come."""
        self.left[place][tensor.canonical] = tensor
        if slot is not None:
            self.slots[place][slot] = tensor.canonical

    def take(self, place: int, slot: Slot) -> Tensor | None:
        """The tensor of a side that is left in a slot, no longer left; None where there is none."""
        name = self.slots[place].pop(slot, None)
        return None if name is None else self.left[place].pop(name, None)

    def meet(self, place: int, tensor: Tensor, other: Tensor, how: str, slot: Slot) -> None:
        """A tensor of the side `place` meets one of the other side."""
        base, tuned = (tensor, other) if place == 0 else (other, tensor)
        self.met.append(Met(base, tuned, how, slot))


def meet(base: Side, tuned: Side) -> Meeting:
    """All that meets, and all that is left."""
    meeting = Meeting((base, tuned))
    _by_name(meeting)
    if all(meeting.left):
        _by_parts(meeting)
        _by_slot(meeting)
    _tied(meeting)
    return meeting


def _by_name(meeting: Meeting) -> None:
    base, tuned = meeting.sides
    others = {tensor.canonical: tensor for tensor in tuned.model.tensors}
    for tensor in base.model.tensors:
        other = others.pop(tensor.canonical, None)
        if other is None:
            meeting.leave(0, tensor, base.slots.get(tensor.canonical))
        else:
            meeting.met.append(Met(tensor, other, slot=base.slots.get(tensor.canonical)))
    for other in others.values():
        meeting.leave(1, other, tuned.slots.get(other.canonical))


def _by_parts(meeting: Meeting) -> None:
    """Fused tensors are taken apart where the other side holds the parts, or fuses them in another order."""
    for place in (0, 1):
        for slot in list(meeting.slots[place]):
            name = meeting.slots[place].get(slot)
            if name is not None:
                _take_apart(meeting, place, slot, meeting.left[place][name])


def _take_apart(meeting: Meeting, place: int, slot: Slot, tensor: Tensor) -> None:
    here, there = meeting.sides[place], meeting.sides[1 - place]
    parts = here.parts(tensor, there.sizes)
    if not parts:
        return
    others = meeting.slots[1 - place]
    if slot in others and not parts.keys() & others.keys():
        fused = meeting.left[1 - place][others[slot]]
        apart = there.parts(fused, here.sizes)
        if not apart or there.layout == here.layout or fused.shape != tensor.shape:
            return
        meeting.take(1 - place, slot)
        for part_slot, part in apart.items():
            meeting.leave(1 - place, part, part_slot)
    if not parts.keys() & others.keys():
        return
    meeting.take(place, slot)
    layout = fused_layout(slot.role, here.layout)
    how = note(f"pair_fused_{here.label}", layout=layout) if layout else note(f"pair_packed_{here.label}")
    for part_slot, part in parts.items():
        other = meeting.take(1 - place, part_slot)
        if other is None:
            meeting.leave(place, part, part_slot)
        else:
            meeting.meet(place, part, other, how, part_slot)


def _by_slot(meeting: Meeting) -> None:
    for slot in list(meeting.slots[0]):
        if slot in meeting.slots[1]:
            base, tuned = meeting.take(0, slot), meeting.take(1, slot)
            if base is not None and tuned is not None:
                meeting.meet(0, base, tuned, BY_SLOT, slot)


def _tied(meeting: Meeting) -> None:
    """A head that only one side stores meets the embedding that the other uses in its place."""
    for place in (0, 1):
        here, there = meeting.sides[place], meeting.sides[1 - place]
        head, table = here.head, there.embedding
        if head is None or table is None or there.head is not None or not there.tied:
            continue
        if meeting.left[place].pop(head.canonical, None) is not None:
            stand_in = renamed(table, canonical=head.canonical, role=HEAD)
            how = note(f"pair_tied_{there.label}")
            meeting.meet(place, head, stand_in, how, Slot(None, None, HEAD, "weight"))


def tying_notes(side: Side) -> Iterator[Note]:
    """Where config and weights disagree about the head being the embedding."""
    if side.tied and side.head is not None and side.embedding is not None:
        same = _same(side.head, side.embedding)
        if same is False:
            yield about(side.label, note("head_other"))
        elif same:
            yield about(side.label, note("head_equal"))
    if side.tied is False and side.head is None and side.embedding is not None and _speaks(side):
        yield about(side.label, note("head_absent"))


def _speaks(side: Side) -> bool:
    """Whether the config is that of a model with a head over the vocabulary."""
    classes = side.model.config.get("architectures")
    return isinstance(classes, list) and any(isinstance(name, str) and "CausalLM" in name for name in classes[:8])


def _same(head: Tensor, table: Tensor) -> bool | None:
    """Whether two tables agree in some of their rows; None where they cannot be compared or read."""
    if head.shape != table.shape or head.dtype != table.dtype or not head.dtype.itemsize or not head.size:
        return None
    rows, long = head.shape
    room = np.empty((2, long * head.dtype.itemsize), np.uint8)
    try:
        for row in np.linspace(0, rows - 1, min(rows, SAMPLED_ROWS)).astype(int).tolist():
            ends = row * long, (row + 1) * long
            for one, other in zip(head.chunks(room[0], *ends), table.chunks(room[1], *ends), strict=True):
                if not np.array_equal(one, other):
                    return False
    except KaiboError:
        return None  # the pass will meet the same fault and say it
    return True


def left_over_reason(meeting: Meeting, place: int, tensor: Tensor) -> str:
    """Why a tensor that is left meets nothing."""
    here, there = meeting.sides[place], meeting.sides[1 - place]
    if why := here.why_not(tensor):
        return why
    if held := there.instead_of(tensor.canonical):
        return note("lone_packed", name=escaped(held, 80))
    if tensor.role == HEAD and there.tied:
        return note("lone_tied")
    slot = here.slots.get(tensor.canonical)
    if slot is not None and fused_layout(slot.role, here.layout) and not here.parts(tensor, there.sizes):
        return note("lone_fused")
    return note("lone_absent")
