"""Checkpoints of torch.distributed: `.metadata` says in which boxes of which files the tensors lie; boxes are joined.

Source: torch/distributed/checkpoint/metadata.py and filesystem.py. `.metadata` is a pickle of a few records, and what
stands at an offset of a `.distcp` file is a file of torch.save with one tensor; both are read by our own interpreter.
FSDP writes such folders, and Megatron (`torch_dist`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NoReturn

from kaibo.errors import FormatError, MissingError, escaped
from kaibo.models.formats.contents import Beside, Contents, Entry, Format, alone
from kaibo.models.formats.opcodes import interpret
from kaibo.models.formats.pickles import Known, Record, RefusedError, records
from kaibo.models.formats.pieces import Piece, Shape, faults, span
from kaibo.models.formats.torch_values import KNOWN, TYPES, Ref, sizes, storage
from kaibo.models.formats.torch_zip import BESIDE, PICKLE_LIMIT, WRAPPERS
from kaibo.models.formats.zips import open_archive
from kaibo.models.places import Place
from kaibo.vocabulary import DTYPES, Buffer, DType
from kaibo.words import note

METADATA = ".metadata"
_AGAIN = "fetch the checkpoint again"
_MODULE = "torch.distributed.checkpoint"
_NAMES = (
    *("Metadata", "TensorStorageMetadata", "BytesStorageMetadata", "ChunkStorageMetadata", "TensorProperties"),
    *("MetadataIndex", "StorageMeta", "_MEM_FORMAT_ENCODING"),
)
LISTED: Mapping[str, Known] = {
    **KNOWN,
    **records(
        *(f"{_MODULE}.metadata.{name}" for name in _NAMES),
        *(f"{_MODULE}.filesystem._StorageInfo", f"{_MODULE}.filesystem._StoragePrefix"),
        "torch.serialization._get_layout",
    ),
}
"""Every name that `.metadata` may use."""


@dataclass(frozen=True)
class Window:
    """A stretch of a place, as a place."""

    place: Place
    begin: int
    size: int

    @property
    def name(self) -> str:
        """The file that it is a stretch of."""
        return self.place.name

    @property
    def key(self) -> str | None:
        """Names the bytes without reading them."""
        return None if self.place.key is None else f"{self.place.key}|{self.begin}|{self.size}"

    def read(self, start: int, size: int) -> bytes:
        """Exactly `size` bytes from `start`."""
        self._check(start, size)
        return self.place.read(self.begin + start, size)

    def read_into(self, start: int, buffer: Buffer, ahead: int = 0) -> None:
        """Fills `buffer` with the bytes from `start`."""
        self._check(start, buffer.nbytes)
        self.place.read_into(self.begin + start, buffer, min(ahead, self.size - start - buffer.nbytes))

    def _check(self, start: int, size: int) -> None:
        if start < 0 or size < 0 or start + size > self.size:
            message = f"{size} bytes are needed where the part ends"
            raise FormatError(message, file=self.name, offset=self.begin + start, next="fetch the file again")


def claims(name: str, start: bytes) -> bool:
    """Whether a file is of this format: it is known by its name."""
    return name == METADATA or name.endswith(".distcp")


def read(place: Place, beside: Beside = alone) -> Contents:
    """The tensors of a checkpoint, each put together from its parts.

    Raises FormatError naming the tensor whose parts leave a hole, overlap or do not fit; PolicyError naming what a
    pickle wants beyond the list, and for a file outside the folder.
    """
    if place.name.endswith(".distcp"):
        message = f"is one file of a distributed checkpoint, which is described by {METADATA}"
        raise MissingError(message, file=place.name, next="name the folder")
    if place.size > PICKLE_LIMIT:
        raise FormatError(f"is {place.size} bytes long, the limit is {PICKLE_LIMIT}", file=place.name)
    data = place.read(0, place.size)
    found = interpret(data, place.name, LISTED, _no_storage)
    told = _Told(place, _state(found, "Metadata", place), beside, {})
    names, left = told.names()
    entries = tuple(told.entry(name, known) for name, known in names.items())
    kinds = ", ".join(sorted({escaped(one, 40) for one in left})[:5])
    notes = (note("distributed_left_out", count=len(left), names=kinds),)
    return Contents(entries, hashlib.sha256(data).hexdigest(), notes=notes if left else ())


def _no_storage(said: Any) -> NoReturn:
    raise RefusedError("a storage, which has no place here")


def _state(value: Any, kind: str, place: Place) -> Mapping[Any, Any]:
    """The fields of a record of this kind. Raises FormatError for anything else."""
    if isinstance(value, Record) and value.name.rpartition(".")[2] == kind and isinstance(value.state, dict):
        return value.state
    raise FormatError(f"holds no {kind} where one is expected", file=place.name, next="fetch the file again")


@dataclass
class _Told:
    """What `.metadata` says: the tensors with their parts, and where each part is stored."""

    place: Place
    state: Mapping[Any, Any]
    beside: Beside
    files: dict[str, Place]

    @cached_property
    def stored(self) -> Mapping[Any, Mapping[Any, Any]]:
        """Where each part is stored, by tensor and first index."""
        listed = self.state.get("storage_data")
        found: dict[Any, Mapping[Any, Any]] = {}
        for key, info in listed.items() if isinstance(listed, dict) else ():
            said = _state(key, "MetadataIndex", self.place)
            if type(said.get("fqn")) is str and type(said.get("offset")) in (tuple, type(None)):
                found[said["fqn"], said.get("offset")] = _state(info, "_StorageInfo", self.place)
        return found

    def names(self) -> tuple[dict[str, str], list[str]]:
        """The model's tensors under their own names, and what the others belong to (optimizer, counters)."""
        told, paths = self.state.get("state_dict_metadata"), self.state.get("planner_data")
        if not isinstance(told, dict):
            raise FormatError("names no tensors", file=self.place.name, next="fetch the file again")
        kept: dict[str, tuple[Any, ...]] = {}
        left: list[str] = []
        for name, one in told.items():
            if type(name) is not str or not isinstance(one, Record):
                raise FormatError("names a tensor by what is no text", file=self.place.name)
            if one.name.endswith(".BytesStorageMetadata"):
                continue
            found = paths.get(name) if isinstance(paths, dict) else None
            path = found if type(found) is tuple and found else tuple(name.split("."))
            if str(path[0]).lower().startswith(BESIDE):
                left.append(str(path[0]))
            else:
                kept[name] = found if type(found) is tuple and found else (name,)
        first = {path[0] for path in kept.values()}
        wrapped = len(first) == 1 and first <= set(WRAPPERS) and all(len(path) > 1 for path in kept.values())
        named = {name: ".".join(map(str, path[1:])) if wrapped else name for name, path in kept.items()}
        return (named if len(set(named.values())) == len(named) else {name: name for name in kept}), left

    def entry(self, name: str, known: str) -> Entry:
        """One tensor, its parts joined."""

        def fail(message: str) -> NoReturn:
            raise FormatError(message, file=self.place.name, tensor=name, next="fetch the checkpoint again")

        one = _state(self.state["state_dict_metadata"][name], "TensorStorageMetadata", self.place)
        dtype, shape = _dtype(one.get("properties"), fail), self._sizes(one.get("size"), name)
        listed = one.get("chunks")
        chunks = [_state(chunk, "ChunkStorageMetadata", self.place) for chunk in listed] if type(listed) is list else []
        boxes = [(self._sizes(chunk.get("offsets"), name), self._sizes(chunk.get("sizes"), name)) for chunk in chunks]
        wrong = faults(shape, boxes)
        if wrong:
            fail(wrong)
        pieces = tuple(self._piece(name, at, size, dtype, fail) for at, size in boxes if 0 not in size)
        if not pieces:
            return Entry(known, dtype, shape, 0, 0)
        first = pieces[0]
        end = first.begin + span(first.shape, first.strides) * dtype.itemsize
        return Entry(known, dtype, shape, first.begin, end, first.swapped, pieces)

    def _sizes(self, value: Any, name: str) -> Shape:
        try:
            return sizes(value, "shape")
        except RefusedError as problem:
            raise FormatError(str(problem), file=self.place.name, tensor=name) from None

    def _piece(self, name: str, at: Shape, size: Shape, dtype: DType, fail: Callable[[str], NoReturn]) -> Piece:
        info = self.stored.get((name, at)) or self.stored.get((name, None))
        if info is None:
            fail(f"its part at {list(at)} is in no file")
        path, offset, length = (info.get(key) for key in ("relative_path", "offset", "length"))
        if type(path) is not str or info.get("transform_descriptors"):
            fail(f"its part at {list(at)} is stored in a way that is not read")
        where = self.files.get(path) or self.files.setdefault(path, self.beside(path))
        if type(offset) is not int or type(length) is not int or not 0 <= offset <= offset + length <= where.size:
            message = f"its part at {list(at)} begins at {escaped(offset, 40)} and is {escaped(length, 40)} bytes long"
            raise FormatError(f"{message}, the file {where.size}", file=where.name, tensor=name, next=_AGAIN)
        return _piece(Window(where, offset, length), at, size, dtype, name)


def _dtype(properties: Any, fail: Callable[[str], NoReturn]) -> DType:
    """The type in the properties of a tensor: a tuple with the type first, or (older ones) a dict."""
    state = properties.state if isinstance(properties, Record) else None
    said = state[0] if type(state) is tuple and state else state.get("dtype") if isinstance(state, dict) else None
    name = TYPES.get(said.name.removeprefix("torch.")) if isinstance(said, Known) else None
    if name is None or name not in DTYPES:
        fail("its type is not one that is read")
    return DTYPES[name]


def _piece(window: Window, at: Shape, size: Shape, dtype: DType, name: str) -> Piece:
    """One part of a tensor: what torch.save wrote into a stretch of a file."""
    archive = open_archive(window)
    root = next((one.removesuffix("data.pkl") for one in archive.members if one.endswith("data.pkl")), None)
    if root is None:
        raise FormatError("its part is no file of torch.save", file=window.name, tensor=name, offset=window.begin)
    member = archive.members[root + "data.pkl"]
    found = interpret(member.read(PICKLE_LIMIT), window.name, KNOWN, storage, window.begin + member.begin)
    if not isinstance(found, Ref) or (found.shape, found.dtype) != (size, dtype):
        held = f"{list(found.shape)} of {found.dtype.name}" if isinstance(found, Ref) else "no tensor"
        message = f"its part at {list(at)} holds {held}, expected {list(size)} of {dtype.name}"
        raise FormatError(message, file=window.name, tensor=name, offset=window.begin, next="fetch the file again")
    data = archive.members.get(f"{root}data/{found.storage.key}")
    if data is None or data.size != found.storage.nbytes:
        raise FormatError("its storage is missing or cut", file=window.name, tensor=name, offset=window.begin)
    data.check_stored()
    order = archive.members.get(root + "byteorder")
    swapped = order is not None and order.read(16) == b"big" and dtype.itemsize > 1
    begin = window.begin + data.begin + found.offset * dtype.itemsize
    return Piece(window.place, begin, at, size, found.strides, swapped)


FORMAT = Format("torch_distributed", (METADATA, ".distcp"), claims, read)
