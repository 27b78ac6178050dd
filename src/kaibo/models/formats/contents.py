"""What a file of weights holds, in whatever format: the nouns that all formats share."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from kaibo.errors import MissingError, escaped
from kaibo.models.formats.pieces import Gathered, Piece
from kaibo.models.places import Place
from kaibo.vocabulary import DTYPES, Buffer, DType, Patterns
from kaibo.words import Note


@dataclass(frozen=True, slots=True)
class Entry:
    """One tensor of a file; `begin` and `end` are absolute offsets of its bytes.

    Of blocks that the format itself packs (GGUF's Q4_K) `dtype` is named for the packing, its values are bytes and
    `shape` counts bytes along its last axis. `swapped` says that the values are stored big end first. `pieces` are
    where its values lie when that is not one stretch in row-major order; `begin` and `end` are then those of the first.
    """

    name: str
    dtype: DType
    shape: tuple[int, ...]
    begin: int
    end: int
    swapped: bool = False
    pieces: tuple[Piece, ...] = ()


@dataclass(frozen=True)
class Contents:
    """What a file says of itself: its tensors, in the order of the file.

    `digest` is the SHA-256 of what describes them. `config` and `documents` (tokenizer, chat template …) are what the
    file itself says of its model, empty where it says nothing. `names` are the names under which a family knows the
    entries that the file calls otherwise. `interleaved` tensors hold the rows of heads of that size in pairs and
    `plus_one` ones are stored with 1 added: both are undone. `meant` is the weight that an entry is a part of;
    `metadata` are the file's own keys and values; `tied` are further names of entries, and which ones.
    """

    entries: tuple[Entry, ...]
    digest: str
    config: Mapping[str, Any] = field(default_factory=dict)
    documents: Mapping[str, Any] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    interleaved: Mapping[str, int] = field(default_factory=dict)
    plus_one: frozenset[str] = frozenset()
    meant: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()
    tied: Mapping[str, str] = field(default_factory=dict)


Beside = Callable[[str], Place]
"""Opens a file that another one names; raises PolicyError for a name that leads out of the folder."""


def alone(name: str) -> Place:
    """What a file that is read alone has beside it: nothing."""
    raise MissingError(f'the file "{escaped(name)}" belongs to it', next="name the folder that holds both")


@dataclass(frozen=True)
class Format:
    """One way in which a file holds tensors.

    `claims` says from a file's name and its first bytes whether the file is of this format. `read` checks every rule
    of it and raises FormatError with the place of the first fault, PolicyError for what would have to be executed;
    what it is given opens the files beside it that it names.
    """

    name: str
    endings: tuple[str, ...]
    claims: Callable[[str, bytes], bool]
    read: Callable[[Place, Beside], Contents]


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A tensor whose bytes lie in a place from `begin` to `end` (absolute offsets)."""

    name: str
    canonical: str
    dtype: DType
    shape: tuple[int, ...]
    layer: int | None
    role: str
    place: Place = field(repr=False)
    begin: int = 0
    end: int = 0
    source_key: str | None = None
    swapped: bool = False
    pieces: tuple[Piece, ...] = field(default=(), repr=False)

    @property
    def size(self) -> int:
        """Number of values."""
        return math.prod(self.shape)

    @property
    def file(self) -> str:
        """The file as the user would recognise it; of several the first."""
        return self.pieces[0].place.name if self.pieces else self.place.name

    def chunks(self, buffer: Buffer, begin: int = 0, end: int | None = None) -> Iterator[Patterns]:
        """The bit patterns of values `begin` to `end`, read straight into the buffer.

        Of types whose values share bytes (F4, F6) `begin`, `end` and the arrays count bytes instead of values.
        Raises ValueError for a range outside the tensor or a buffer too small for one value, FormatError when
        the file was changed since its header was read.
        """
        width = self.dtype.itemsize or 1
        units = self.size if self.pieces else (self.end - self.begin) // width
        stop = units if end is None else end
        step = buffer.nbytes // width
        if not 0 <= begin <= stop <= units or step == 0:
            raise ValueError(f"values {begin} to {stop} of {units} through a buffer of {buffer.nbytes} bytes")
        if self.pieces:
            yield from Gathered(self.dtype, self.shape, self.pieces).chunks(buffer, begin, stop)
            return
        patterns = self.dtype.patterns if self.dtype.itemsize else DTYPES["U8"].patterns
        for first in range(begin, stop, step):
            part = buffer[: min(step, stop - first) * width]
            self.place.read_into(self.begin + first * width, part, (stop - first) * width - part.nbytes)
            values = part.view(patterns)
            if self.swapped and width > 1:
                values.byteswap(inplace=True)
            yield values


def stored(entry: Entry, digest: str, place: Place) -> StoredTensor:
    """The tensor of an entry under the file's own name of it; its layer and role are not known yet.

    The source key names file, header, bytes, type and shape: equal keys mean equal values.
    """
    keys = [place.key, *(piece.key for piece in entry.pieces)]
    key = None
    if None not in keys:
        parts = (digest, place.key, entry.begin, entry.end, entry.dtype.name, *entry.shape, *keys[1:])
        key = hashlib.sha256("|".join(map(str, parts)).encode("ascii")).hexdigest()
    return StoredTensor(
        entry.name,
        entry.name,
        entry.dtype,
        entry.shape,
        None,
        "other",
        place,
        entry.begin,
        entry.end,
        key,
        entry.swapped,
        entry.pieces,
    )
