"""PyTorch's `.bin`, `.pt`, `.pth` (ZIP): a pickle that describes tensors, and one stored member per storage.

Source: torch/serialization.py and caffe2/serialize/inline_container.cc. The pickle is read by our own interpreter,
the values by range from the members; `torch.load` is never called. What else a checkpoint holds (optimizer, settings,
counters) is told and left alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from kaibo.errors import FormatError, PolicyError, escaped
from kaibo.models.formats import sniff
from kaibo.models.formats.contents import Beside, Contents, Entry, Format, alone
from kaibo.models.formats.opcodes import interpret
from kaibo.models.formats.pickles import NEXT
from kaibo.models.formats.pieces import Piece, is_plain, span
from kaibo.models.formats.torch_values import KNOWN, Ref, storage
from kaibo.models.formats.zips import MAGIC, Archive, Member, open_archive
from kaibo.models.places import Place

ENDINGS = (".bin", ".pt", ".pth", ".ckpt")
PICKLE_LIMIT = 1 << 26
"""Bytes of the pickle that are read at most; it holds names and shapes, no values."""

LONGEST_NAME, DEEPEST, STEPS = 65_535, 32, 1 << 20
WRAPPERS = ("state_dict", "model_state_dict", "model_state", "model", "module", "net", "weights", "params")
"""Under which key trainers save the weights, beside the optimizer's state and settings."""

BESIDE = ("optim", "sched", "lr_", "rng", "scaler", "amp", "loss", "callback", "random", "cuda_rng")
"""How keys begin that are never a model's."""


def claims(name: str, start: bytes) -> bool:
    """Whether a file is of this format: by its name, or a ZIP archive that begins as torch.save's do."""
    inside = start.startswith(MAGIC) and (b"data.pkl" in start or b"version" in start)
    return inside or (name.lower().endswith(ENDINGS) and start[8:9] != b"{")


def read(place: Place, beside: Beside = alone) -> Contents:
    """The tensors of a file, under the names of its state dict.

    Raises PolicyError naming what its pickle wants beyond tensors, FormatError for what is malformed.
    """
    start = place.read(0, min(place.size, sniff.START))
    if not start.startswith(MAGIC):
        sniff.refuse(place, start, "is not a file of torch.save", 0, wanted="PyTorch")
    archive = open_archive(place)
    root = _root(place, archive)
    member = archive.members[root + "data.pkl"]
    pickle = member.read(PICKLE_LIMIT)
    found = interpret(pickle, place.name, KNOWN, storage, member.begin)
    tensors, notes = weights_of(found, place.name)
    order = _order(place, archive, root)
    entries, tied = _entries(place, archive, root, tensors, swapped=order == b"big")
    digest = hashlib.sha256(pickle + archive.digest.encode("ascii")).hexdigest()
    return Contents(entries, digest, notes=(*notes, *_tied_note(tied)), tied=tied)


def _root(place: Place, archive: Archive) -> str:
    """The folder inside the archive that everything lies in."""
    roots = [name.removesuffix("data.pkl") for name in archive.members if name.rpartition("/")[2] == "data.pkl"]
    if any(name.rpartition("/")[2] == "constants.pkl" for name in archive.members):
        message = "holds a TorchScript program, which would have to be run"
        raise PolicyError(message, file=place.name, next="save its state_dict() as safetensors")
    if not roots:
        sniff.refuse_zip(place, "/".join(archive.members).encode("utf-8", "surrogateescape"))
    if len(roots) > 1:
        raise FormatError(f"holds {len(roots)} pickles named data.pkl", file=place.name, next=NEXT)
    return roots[0]


def _order(place: Place, archive: Archive, root: str) -> bytes:
    member = archive.members.get(root + "byteorder")
    order = member.read(16) if member else b"little"
    if order not in (b"little", b"big"):
        raise FormatError(f"the byte order is {escaped(order)}, expected little or big", file=place.name)
    return order


Named = dict[str, Ref]


@dataclass
class _Walk:
    """Everything in a value that is a tensor, under its path."""

    file: str
    steps: int = 0

    def tensors(self, value: Any) -> Named:
        found: Named = {}
        for name, tensor in self._inside(value, "", 0, set()):
            if name in found:
                raise FormatError("stands twice in the file", file=self.file, tensor=name)
            if len(name) > LONGEST_NAME:
                raise FormatError(f"a name of {len(name)} characters", file=self.file)
            found[name] = tensor
        return found

    def _inside(self, value: Any, path: str, depth: int, above: set[int]) -> Iterator[tuple[str, Ref]]:
        self.steps += 1
        if self.steps > STEPS or depth > DEEPEST or id(value) in above:
            what = f"more than {DEEPEST} deep, or in itself, or shared too often"
            raise FormatError(f"its values are nested {what}", file=self.file, next=NEXT)
        if isinstance(value, Ref):
            yield path or "tensor", value
            return
        for key, inner in _items(value):
            if isinstance(inner, Ref | dict | list | tuple) and inner != ():
                joined = f"{path}.{key}" if path else str(key)
                yield from self._inside(inner, joined, depth + 1, above | {id(value)})


def _items(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, list | tuple):
        yield from enumerate(value)


def weights_of(value: Any, file: str) -> tuple[Named, tuple[str, ...]]:
    """The tensors of a checkpoint that are the model's, by name, and what was left out of it.

    A dict of tensors is the model; of a dict of dicts it is what lies under a usual key (`state_dict`, `model` …),
    where that holds more tensors than stand beside it.
    """
    walk = _Walk(file)
    left: list[str] = []
    taken: list[str] = []
    while isinstance(value, dict):
        held = {key: walk.tensors(inner) for key, inner in value.items()}
        held = {key: tensors for key, tensors in held.items() if tensors}
        alone = sum(isinstance(value[key], Ref) for key in held)
        if alone and not any(key in held and len(held[key]) > alone for key in WRAPPERS):
            break
        models = [key for key in held if not str(key).lower().startswith(BESIDE)]
        key = next((key for key in WRAPPERS if key in models), models[0] if len(models) == 1 else None)
        if key is None or (len(held) == 1 and key not in WRAPPERS):
            names = {f"{key}.{name}": tensor for key in models for name, tensor in held[key].items()}
            left += [f"{key} ({len(held[key])})" for key in held if key not in models]
            return names, _told(taken, left)
        left += [f"{other} ({len(tensors)})" for other, tensors in held.items() if other != key]
        taken.append(str(key))
        value = value[key]
    return walk.tensors(value), _told(taken, left)


def _told(taken: list[str], left: list[str]) -> tuple[str, ...]:
    if not left:
        return ()
    where = f'under "{escaped(".".join(taken), 80)}" ' if taken else ""
    more = f" and {len(left) - 5} more" if len(left) > 5 else ""
    return (f"the tensors {where}were read; left out: {', '.join(escaped(one, 80) for one in left[:5])}{more}",)


def _entries(
    place: Place, archive: Archive, root: str, tensors: Mapping[str, Ref], *, swapped: bool
) -> tuple[tuple[Entry, ...], dict[str, str]]:
    """An entry for each tensor; names under which one stands again (tied) are left out and told."""
    entries: list[Entry] = []
    first: dict[tuple[Any, ...], str] = {}
    tied: dict[str, str] = {}
    for name, ref in sorted(tensors.items(), key=lambda item: "head" in item[0]):  # a tied head is its embedding
        if ref.dtype.name == "C128":
            _refuse_type(place, name)
        same = (ref.storage.key, ref.offset, ref.dtype.name, ref.shape, ref.strides)
        if same in first and 0 not in ref.shape:
            tied[name] = first[same]
            continue
        first[same] = name
        entries.append(_entry(_member(place, archive, root, name, ref), name, ref, swapped))
    return tuple(entries), tied


def _tied_note(tied: Mapping[str, str]) -> tuple[str, ...]:
    said = [f"{escaped(name)} is {escaped(first)}" for name, first in list(tied.items())[:3]]
    more = [f"and {len(tied) - 3} more"] if len(tied) > 3 else []
    return (f"tied, counted once: {'; '.join([*said, *more])}",) if tied else ()


def _refuse_type(place: Place, name: str) -> NoReturn:
    message = "is stored in complex numbers of 128 bits, which are not read"
    raise FormatError(message, file=place.name, tensor=name, next="save its real and imaginary parts")


def _member(place: Place, archive: Archive, root: str, name: str, ref: Ref) -> Member:
    """The member that holds a tensor's storage: stored as it is, and as long as the pickle says."""
    member = archive.members.get(f"{root}data/{ref.storage.key}")
    if member is None:
        message = f'its storage "{escaped(ref.storage.key, 40)}" is not in the archive'
        raise FormatError(message, file=place.name, tensor=name, next="fetch the file again")
    member.check_stored()
    if member.size != ref.storage.nbytes:
        message = f"its storage holds {member.size} bytes, the pickle says {ref.storage.nbytes}"
        raise FormatError(message, file=place.name, tensor=name, offset=member.begin, next="fetch the file again")
    return member


def _entry(member: Member, name: str, ref: Ref, swapped: bool) -> Entry:
    width = ref.dtype.itemsize
    begin = member.begin + ref.offset * width if 0 not in ref.shape else member.begin
    end = begin + span(ref.shape, ref.strides) * width
    swapped = swapped and width > 1
    if is_plain(ref.shape, ref.strides):
        return Entry(name, ref.dtype, ref.shape, begin, end, swapped)
    piece = Piece(member.place, begin, (0,) * len(ref.shape), ref.shape, ref.strides, swapped)
    return Entry(name, ref.dtype, ref.shape, begin, end, swapped, (piece,))


FORMAT = Format("torch", ENDINGS, claims, read)
