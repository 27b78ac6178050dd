"""Packed weights: what of a file stands for one weight, and the tensor whose values are decoded while it is read."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaibo.errors import FormatError
from kaibo.models.formats import StoredTensor
from kaibo.models.formed import Formed, formed
from kaibo.models.packings.tiles import Floats32, Tiled
from kaibo.vocabulary import DTYPES, Buffer, Patterns, Tensor, widen32

Stored = Mapping[str, StoredTensor]
"""The tensors of a model by their names in the file."""


@dataclass(frozen=True, eq=False)
class Group:
    """One packed weight: its name and shape, the codes and the parts that it is decoded from.

    `how` says in words what decoding does; `settings` are what else decides the values.
    """

    packing: str
    weight: str
    shape: tuple[int, ...]
    codes: StoredTensor
    parts: Stored
    how: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str | None:
        """Names the decoded values without reading them; None where a part has no name of its own."""
        keys = [part.source_key for part in (self.codes, *self.parts.values())]
        if None in keys:
            return None
        said = (self.packing, VERSION, self.shape, *keys, *sorted(self.parts), *sorted(self.settings.items()))
        return hashlib.sha256("|".join(map(str, said)).encode("utf-8", "surrogatepass")).hexdigest()

    def fail(self, message: str, part: str = "") -> FormatError:
        """The error of a group whose parts do not belong together."""
        of = self.parts.get(part, self.codes)
        return FormatError(message, file=of.file, tensor=of.name, offset=of.begin, next="fetch the file again")


@dataclass(frozen=True)
class Unfit:
    """Codes whose packing is known and whose parts are missing or do not fit; `why` says which."""

    codes: StoredTensor
    why: str


VERSION = 1
"""Raised when a packing decodes otherwise than before, so that what was measured is measured again."""


@dataclass(frozen=True)
class Packing:
    """One way in which weights are packed.

    `recognise(config, entries)` gives the groups that it can decode and the codes of its own that it cannot,
    `decoder` what decodes one of the groups.
    """

    name: str
    recognise: Callable[[Mapping[str, Any], Stored], Iterator[Group | Unfit]]
    decoder: Callable[[Group], Tiled]


@dataclass(frozen=True, eq=False)
class Packed:
    """The values of a packed weight, decoded a buffer's worth at a time; with `as_stored` its codes."""

    group: Group
    packing: Packing
    as_stored: bool = False

    @cached_property
    def decoder(self) -> Tiled:
        """What decodes the group; raises FormatError where its parts do not belong together."""
        return self.packing.decoder(self.group)

    def chunks(self, buffer: Buffer, begin: int = 0, end: int | None = None) -> Iterator[Patterns]:
        """The decoded values in float32; raises what reading the parts raises."""
        step, size = buffer.nbytes // 4, prod(self.group.shape)
        stop = size if end is None else end
        if not 0 <= begin <= stop <= size or step == 0:
            raise ValueError(f"values {begin} to {stop} of {size} through a buffer of {buffer.nbytes} bytes")
        for first in range(begin, stop, step):
            out = buffer[: 4 * min(step, stop - first)].view(np.float32)
            (self.decoder.stored if self.as_stored else self.decoder.decode)(first, out)
            yield out.view("<u4")


def packed(group: Group, packing: Packing, *, as_stored: bool = False) -> Formed:
    """The weight of a group, or its codes, as a tensor in float32, under the file's own name of it."""
    key = f"{group.key}|as stored" if as_stored and group.key else group.key
    weight = formed(Packed(group, packing, as_stored), group.codes, dtype=DTYPES["F32"], source_key=key)
    return Formed(
        group.weight, group.weight, weight.dtype, group.shape, None, "other", weight.source_key, weight.values
    )


def said_of_packing(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a config says of its packing, wherever it does; empty where it says nothing."""
    texts = config.get("text_config")
    for table in (config, texts if isinstance(texts, Mapping) else {}):
        for key in ("quantization_config", "compression_config", "quantization"):
            found = table.get(key)
            if isinstance(found, Mapping) and found:
                return found
    return {}


def whole_number(table: Mapping[str, Any], *keys: str) -> int | None:
    """The first of these keys that holds a whole number."""
    found = [table.get(key) for key in keys]
    return next((value for value in found if type(value) is int), None)


def group_of(tensor: Tensor) -> Group | None:
    """The group that a tensor is decoded from; None for a tensor that is stored as it is."""
    held = isinstance(tensor, Formed) and isinstance(tensor.values, Packed)
    return tensor.values.group if held else None  # type: ignore[attr-defined]


def whole(tensor: StoredTensor) -> NDArray[Any]:
    """All values of a small part, in its shape: floats in float32, E8M0 as powers of two, integers as they are."""
    return values_in(tensor, 0, tensor.size).reshape(tensor.shape)


def values_in(tensor: StoredTensor, begin: int, end: int) -> NDArray[Any]:
    """The values `begin` to `end` of a part, in row-major order."""
    patterns = patterns_in(tensor, begin, end)
    if tensor.dtype.name == "F8_E8M0":
        return powers_of_two(patterns)
    if tensor.dtype.kind == "integer":
        signed = tensor.dtype.name.startswith("I")
        return patterns.view(f"<i{tensor.dtype.itemsize}" if signed else patterns.dtype)
    return widen32(tensor.dtype.name, patterns).astype(np.float32, copy=False)


def patterns_in(tensor: StoredTensor, begin: int, end: int) -> NDArray[Any]:
    """The patterns of values `begin` to `end` of a tensor, in an array of their own."""
    out = np.empty(end - begin, tensor.dtype.patterns if tensor.dtype.itemsize else np.uint8)
    if out.size:
        for _ in tensor.chunks(out.view(np.uint8), begin, end):
            pass  # one chunk, which fills the array
    return out


def stored_rows(tensor: StoredTensor, first: int, last: int, of: int | None = None) -> NDArray[Any]:
    """Rows of a tensor taken as a matrix `of` so many, else of its last axis, as patterns or, of F4, as bytes."""
    units = (tensor.end - tensor.begin) // (tensor.dtype.itemsize or 1)
    wide = units // max(prod(tensor.shape[:-1]) if of is None else of, 1)
    return patterns_in(tensor, first * wide, last * wide).reshape(last - first, wide)


def float_rows(tensor: StoredTensor, first: int, last: int) -> Floats32:
    """Rows of a tensor taken as a matrix of its last axis, in float32; bytes without a sign are powers of two."""
    wide = tensor.shape[-1]
    found = values_in(tensor, first * wide, last * wide).reshape(last - first, wide)
    return powers_of_two(found) if tensor.dtype.name == "U8" else found.astype(np.float32, copy=False)


def powers_of_two(patterns: NDArray[Any]) -> Floats32:
    """The values of E8M0 scales: 2^(pattern − 127), NaN for 255 (OCP Microscaling formats 1.0).

    >>> powers_of_two(np.array([127, 128], np.uint8)).tolist()
    [1.0, 2.0]
    """
    exponents = np.minimum(np.asarray(patterns, np.int32), 254) - 127
    return np.where(patterns == 255, np.float32(np.nan), np.ldexp(np.float32(1), exponents)).astype(np.float32)
