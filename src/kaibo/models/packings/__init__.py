"""Stored tensors come in; weights go out, packed ones decoded block by block while they are read.

A packing is a name, `recognise(config, entries) → groups` and `decoder(group)`. A group is one weight: codes and parts;
codes whose parts are missing or do not fit are named with the reason. A decoder is `Tiled`: it reads rows of codes with
their scales, and gives the values in float32, bit for bit as the packing's own package. Parts (scales, zero points,
group indices, absmax, codebooks) are never weights, in any family; codes that no packing decodes are not measurable.
To add a packing, write its module and list it here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from kaibo.errors import escaped
from kaibo.models.formats import StoredTensor
from kaibo.models.formed import Formed
from kaibo.models.packings import awq, bitsandbytes, compressed, fp4, fp8, ggml, gptq, int8, mlx, parts, torchao
from kaibo.models.packings.packed import Group, Packed, Packing, Unfit, group_of, packed, said_of_packing
from kaibo.vocabulary import DType, Tensor
from kaibo.words import Note, about, note

__all__ = [
    "PACKINGS",
    "Group",
    "Packed",
    "Packing",
    "Stream",
    "group_of",
    "packed_as",
    "put",
    "stream",
    "why_not",
]

PACKINGS: tuple[Packing, ...] = tuple(
    one.PACKING for one in (ggml, gptq, awq, bitsandbytes, compressed, fp4, mlx, torchao, int8, fp8)
)
"""Every packing, in the order in which they are asked; an entry belongs to the first that recognises it."""


@dataclass(frozen=True)
class Stream:
    """The tensors of a model after unpacking, under the file's own names of them.

    `undecoded` is about how many parameters the codes hold that no packing decodes; `notes` say what was done.
    """

    tensors: tuple[Tensor, ...]
    undecoded: int = 0
    notes: tuple[Note, ...] = ()


def stream(stored: Iterable[StoredTensor], config: Mapping[str, Any], *, as_stored: bool = False) -> Stream:
    """Stored tensors with each packed weight as one tensor of its own shape, in place of its codes and parts.

    With `as_stored` such a tensor holds the codes themselves.
    """
    entries = {tensor.name: tensor for tensor in stored}
    groups, unfit = _groups(config, entries)
    taken = {part.name for group, _ in groups for part in (group.codes, *group.parts.values())}
    left = {name: tensor for name, tensor in entries.items() if name not in taken}
    said = said_of_packing(config)
    unread = _Unread(entries, parts.coded(entries), bool(said), scaled=bool(groups))
    tensors: list[Tensor] = [packed(group, packing, as_stored=as_stored) for group, packing in groups]
    codes = [tensor for tensor in left.values() if unread.is_codes(tensor)]
    undecoded = sum(parts.parameters(tensor, config) for tensor in codes)
    tensors += [unread.seen(tensor) for tensor in left.values()]
    notes = [*_ways(groups, as_stored), *_contradictions(config, groups, codes), *_not_measurable(unfit, codes, config)]
    return Stream(tuple(tensors), undecoded, tuple(notes))


def _groups(
    config: Mapping[str, Any], entries: Mapping[str, StoredTensor]
) -> tuple[list[tuple[Group, Packing]], dict[str, str]]:
    """The groups of all packings, and by their names the codes that fit none, with the reason."""
    found: list[tuple[Group, Packing]] = []
    unfit: dict[str, str] = {}
    left = dict(entries)
    for packing in PACKINGS:
        for group in list(packing.recognise(config, left)):
            if isinstance(group, Unfit):
                unfit.setdefault(group.codes.name, group.why)
                continue
            found.append((group, packing))
            for part in (group.codes, *group.parts.values()):
                left.pop(part.name, None)
    return found, {name: why for name, why in unfit.items() if name in left}


@dataclass(frozen=True)
class _Unread:
    """What no packing took, and how it is to be seen."""

    entries: Mapping[str, StoredTensor]
    stems: frozenset[str]
    quantised: bool
    scaled: bool

    def is_codes(self, tensor: StoredTensor) -> bool:
        """Codes whose packing is not known; 8-bit floats only where the file or its config speaks of scales."""
        if tensor.dtype.name in fp8.CODES:
            scaled = self.scaled or fp8.scale_of(tensor.name, self.entries) is not None
            lacks = self.quantised or scaled or self._has_company(tensor.name)
            return lacks and not parts.reason(tensor.name, self.stems)
        return parts.is_codes(tensor, quantised=self.quantised)

    def _has_company(self, name: str) -> bool:
        """Whether a module holds more than a weight and a bias: a scale by a name that is not known, most likely."""
        module, _, last = name.rpartition(".")
        return last == "weight" and module in self._accompanied

    @cached_property
    def _accompanied(self) -> frozenset[str]:
        modules = [name.split(".") for name in self.entries if name.rpartition(".")[2] not in ("weight", "bias")]
        return frozenset(".".join(parts[:end]) for parts in modules for end in range(1, len(parts)))

    def seen(self, tensor: StoredTensor) -> Tensor:
        """The tensor, not measurable where it is codes or a part of some."""
        if tensor.dtype.measurable and (self.is_codes(tensor) or parts.reason(tensor.name, self.stems)):
            return parts.not_weights(tensor)
        return tensor


def _ways(groups: list[tuple[Group, Packing]], as_stored: bool) -> Iterator[Note]:
    """How many weights are packed in which way."""
    ways = Counter(group.how for group, _ in groups)
    key = "weights_as_stored" if as_stored else "weights_packed"
    for how, count in ways.items():
        yield note(key, count=count, how=how)


def _contradictions(
    config: Mapping[str, Any], groups: list[tuple[Group, Packing]], codes: list[StoredTensor]
) -> Iterator[Note]:
    """A packing that the config names and the file lacks, and the reverse; GGUF has no such config."""
    said = said_of_packing(config)
    if said and not groups and not codes:
        method = escaped(str(said.get("quant_method", "no method named")), 40)
        yield note("packing_lacks", method=method)
    held = sum(packing is not ggml.PACKING for _, packing in groups)
    if config and not said and held:
        yield note("packing_unsaid", count=held)


def _not_measurable(unfit: Mapping[str, str], codes: list[StoredTensor], config: Mapping[str, Any]) -> Iterator[Note]:
    """Which codes are not decoded and why, with what they take and about how many parameters they stand for."""
    for why, count in Counter(unfit.values()).items():
        first = next(name for name, said in unfit.items() if said == why)
        names = escaped(first, 200) + (f" (+{count - 1})" if count > 1 else "")
        yield about(names, note("codes_unfit", why=why))
    unknown = [one for one in codes if one.name not in unfit]
    if unknown:
        kinds = ", ".join(sorted({parts.described(one.name) or f"{one.dtype.name} codes" for one in unknown}))
        yield note("codes_undecoded", count=len(unknown), kinds=kinds)
    if codes:
        held = sum(one.end - one.begin for one in codes)
        count = sum(parts.parameters(one, config) for one in codes)
        yield note("codes_size", bytes=f"{held:,}", count=f"{count:,}")


def packed_as(tensor: Tensor) -> str | None:
    """How a tensor's values are packed in its file (`Q4_1 blocks`); None where they are stored as they are."""
    inner: Any = tensor
    while isinstance(inner, Formed):
        if isinstance(inner.values, Packed):
            return inner.values.group.how
        inner = getattr(inner.values, "tensor", None)
    return None


def put(tensor: Tensor, canonical: str, layer: int | None, role: str) -> Tensor:
    """A tensor of a stream under its canonical name, with its layer and role."""
    assert isinstance(tensor, StoredTensor | Formed), "a stream holds nothing else"
    return replace(tensor, canonical=canonical, layer=layer, role=role)


def why_not(tensor: Tensor, method: str = "") -> str:
    """Why a tensor is no weights to be measured; "" where nothing speaks against it."""
    if tensor.dtype.measurable:
        return ""
    what = parts.described(tensor.canonical) or parts.BESIDE.get(tensor.canonical.rpartition(".")[2], "")
    if what:
        return _not_weights("lone_part", tensor, method, what=what)
    if _is_float(tensor.dtype):
        return _not_weights("lone_codes", tensor, method)
    return _not_weights("lone_type", tensor, method)


def _not_weights(key: str, tensor: Tensor, method: str, **values: str) -> Note:
    said = f" ({method[:40]})" if method else ""
    return note(key, dtype=tensor.dtype.name, method=said, **values)


def _is_float(dtype: DType) -> bool:
    return dtype.kind == "scale" and dtype.name != "F8_E8M0"
