"""Meta's `consolidated.00.pth`, `.01.pth` …: one model cut into ranks, each tensor along one axis; joined again.

Source: github.com/meta-llama/llama, llama/model.py (ColumnParallelLinear is cut along its outputs, RowParallelLinear
along its inputs; the embedding along its width, from Llama 3 on along its rows).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from kaibo.errors import FormatError
from kaibo.models.formats.contents import Contents, Entry
from kaibo.models.formats.pieces import Piece, row_major
from kaibo.models.places import Place

NAME = re.compile(r"consolidated\.\d{2}\.pth")
_OUTPUTS = re.compile(r"(?:.*\.)?(?:wq|wk|wv|w1|w3|output)\.weight")
_INPUTS = re.compile(r"(?:.*\.)?(?:wo|w2)\.weight")
_TABLE = "tok_embeddings.weight"


def joined(files: Mapping[str, Contents], places: Mapping[str, Place]) -> dict[str, Contents]:
    """The ranks of one model, in order: every tensor stands in the first, put together from all of them.

    Raises FormatError naming the rank and the tensor where they do not fit together.
    """
    ranks = {name: {entry.name: entry for entry in one.entries} for name, one in files.items()}
    (first, held), *others = ranks.items()
    for rank, entries in others:
        for name in sorted(set(held) ^ set(entries))[:1]:
            raise FormatError(f"is in {first} or in {rank}, not in both", file=places[rank].name, tensor=name)
    width = next((one.shape[0] for name, one in held.items() if name.endswith("norm.weight") and one.shape), None)
    parts = {name: [(places[rank], ranks[rank][name]) for rank in ranks] for name in held}
    whole = tuple(_joined(name, parts[name], _axis(name, held[name], width)) for name in held)
    digest = "".join(one.digest for one in files.values())
    made = replace(files[first], entries=whole, digest=digest)
    return {name: made if name == first else replace(one, entries=()) for name, one in files.items()}


def _axis(name: str, entry: Entry, width: int | None) -> int | None:
    """The axis along which a tensor is cut; None for one that every rank holds whole."""
    if _OUTPUTS.fullmatch(name):
        return 0
    if _INPUTS.fullmatch(name):
        return 1
    if name == _TABLE and len(entry.shape) == 2:
        return 0 if entry.shape[1] == width else 1
    return None


def _joined(name: str, parts: list[tuple[Place, Entry]], axis: int | None) -> Entry:
    first = parts[0][1]
    for place, entry in parts:
        if (entry.dtype, entry.shape) != (first.dtype, first.shape) or (axis or 0) >= len(entry.shape or (1,)):
            raise FormatError(
                f"is {list(entry.shape)} here and {list(first.shape)} in the first rank", file=place.name, tensor=name
            )
    if axis is None:
        return first
    step = first.shape[axis]
    shape = tuple(step * len(parts) if one == axis else size for one, size in enumerate(first.shape))
    pieces = []
    for rank, (place, entry) in enumerate(parts):
        at = tuple(rank * step if one == axis else 0 for one in range(len(shape)))
        strides = entry.pieces[0].strides if entry.pieces else row_major(entry.shape)
        pieces.append(Piece(place, entry.begin, at, entry.shape, strides, entry.swapped))
    return Entry(name, first.dtype, shape, first.begin, first.end, first.swapped, tuple(pieces))
