"""Packed weights: what of a file stands for one weight, and the tensor whose values are decoded while it is read."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from kaibo.errors import FormatError
from kaibo.models.formats import StoredTensor
from kaibo.models.formed import Formed, formed
from kaibo.vocabulary import DTYPES, Buffer, Patterns, Tensor, widen32

Floats32 = NDArray[np.float32]
Floats64 = NDArray[np.float64]
Stored = Mapping[str, StoredTensor]
"""The tensors of a model by their names in the file."""


class Decoder(Protocol):
    """What turns stored codes into values; made once for a weight, read by several threads."""

    def decode(self, begin: int, out: Floats32) -> None:
        """Fills `out` with the weight's values from `begin` on, in row-major order, as its own package decodes them."""
        ...

    def cell(self, begin: int, low: Floats64, high: Floats64) -> None:
        """The interval around each of these values that is rounded to the same code under the same scales."""
        ...


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


VERSION = 1
"""Raised when a packing decodes otherwise than before, so that what was measured is measured again."""


@dataclass(frozen=True)
class Packing:
    """One way in which weights are packed.

    `recognise(config, entries)` gives the groups that it can decode, `decoder` what decodes one of them.
    """

    name: str
    recognise: Callable[[Mapping[str, Any], Stored], Iterator[Group]]
    decoder: Callable[[Group], Decoder]


@dataclass(frozen=True, eq=False)
class Packed:
    """The values of a packed weight, decoded a buffer's worth at a time."""

    group: Group
    packing: Packing

    @cached_property
    def decoder(self) -> Decoder:
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
            self.decoder.decode(first, out)
            yield out.view("<u4")


def packed(group: Group, packing: Packing) -> Formed:
    """The weight of a group as a tensor, in float32, under the file's own name of it."""
    weight = formed(Packed(group, packing), group.codes, dtype=DTYPES["F32"], source_key=group.key)
    return Formed(
        group.weight, group.weight, weight.dtype, group.shape, None, "other", weight.source_key, weight.values
    )


def group_of(tensor: Tensor) -> Group | None:
    """The group that a tensor is decoded from; None for a tensor that is stored as it is."""
    held = isinstance(tensor, Formed) and isinstance(tensor.values, Packed)
    return tensor.values.group if held else None  # type: ignore[attr-defined]


def whole(tensor: StoredTensor) -> NDArray[Any]:
    """All values of a small part, in its shape: floats in float32, E8M0 as powers of two, integers as they are."""
    room = np.empty(max(tensor.size * max(tensor.dtype.itemsize, 1), 8), np.uint8)
    read = [chunk.copy() for chunk in tensor.chunks(room)]
    patterns = np.concatenate(read) if read else np.empty(0, tensor.dtype.patterns)
    if tensor.dtype.name == "F8_E8M0":
        return powers_of_two(patterns).reshape(tensor.shape)
    if tensor.dtype.kind == "integer":
        signed = tensor.dtype.name.startswith("I")
        return patterns.view(f"<i{tensor.dtype.itemsize}" if signed else patterns.dtype).reshape(tensor.shape)
    return widen32(tensor.dtype.name, patterns).astype(np.float32).reshape(tensor.shape)


def powers_of_two(patterns: NDArray[Any]) -> Floats32:
    """The values of E8M0 scales: 2^(pattern − 127), NaN for 255 (OCP Microscaling formats 1.0).

    >>> powers_of_two(np.array([127, 128], np.uint8)).tolist()
    [1.0, 2.0]
    """
    exponents = np.minimum(np.asarray(patterns, np.int32), 254) - 127
    return np.where(patterns == 255, np.float32(np.nan), np.ldexp(np.float32(1), exponents)).astype(np.float32)
