"""A model as a stream of named tensors: the one shape that stored, derived and remote models all have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from kaibo.vocabulary.dtypes import DType, Patterns, widen32
from kaibo.words import Note

Buffer = NDArray[np.uint8]
"""Room for one chunk, owned by a worker and used again for every chunk it reads."""


class Tensor(Protocol):
    """One named block of weights, wherever its values come from.

    `name` is what the file calls it, `canonical` the same under the anatomy's naming (prefixes such as `model.`
    taken off), `layer` its block number or None, `role` what it is for (`attention.q`, `mlp.gate` … or `other`).
    `source_key` names the stored bytes without reading them (None where that is not known); equal keys mean that
    a measurement may be looked up instead of made.
    """

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def canonical(self) -> str: ...  # noqa: D102
    @property
    def dtype(self) -> DType: ...  # noqa: D102
    @property
    def shape(self) -> tuple[int, ...]: ...  # noqa: D102
    @property
    def layer(self) -> int | None: ...  # noqa: D102
    @property
    def role(self) -> str: ...  # noqa: D102
    @property
    def source_key(self) -> str | None: ...  # noqa: D102
    @property
    def size(self) -> int:
        """Number of values."""
        ...

    def chunks(self, buffer: Buffer, begin: int = 0, end: int | None = None) -> Iterator[Patterns]:
        """The bit patterns of values `begin` to `end` in row-major order, a buffer's worth at a time.

        Each array is unsigned, of the type's width, and holds only until the next one is asked for.
        Raises FormatError when the stored bytes are fewer than promised or changed since the header was read.
        """
        ...


def floats_of(tensor: Tensor, begin: int = 0, end: int | None = None) -> NDArray[np.floating]:
    """The values `begin` to `end` of a tensor as `widen32` gives them, in an array of their own. Raises as `chunks`."""
    stop = tensor.size if end is None else end
    room = np.empty((stop - begin) * tensor.dtype.itemsize, np.uint8)
    found = [widen32(tensor.dtype.name, chunk) for chunk in tensor.chunks(room, begin, stop)]
    return np.concatenate(found) if found else np.empty(0, np.float32)


@dataclass(frozen=True)
class Model:
    """A model under one address: its tensors in the order of their canonical names, and what its folder says.

    `address` is the address as the user gave it, `name` what tables join on (`org/name`, or the folder's name).
    `config` is `config.json` (empty where there is none); `files` are the weight files used, relative to the
    folder; `notes` are plain sentences about what was found and chosen, to be shown to the user.
    `documents` holds the small text files beside the weights that say how a model is used (chat template,
    tokenizer settings), already parsed where they are JSON. `undecoded` is about how many parameters are stored in a
    packing that cannot be decoded. `names` are those that the family's own files give to tensors that this file calls
    otherwise (GGUF).
    """

    address: str
    name: str
    family: str
    tensors: tuple[Tensor, ...]
    config: Mapping[str, Any] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    notes: tuple[Note, ...] = ()
    documents: Mapping[str, Any] = field(default_factory=dict)
    undecoded: int = 0
    names: Mapping[str, str] = field(default_factory=dict)

    @property
    def seen(self) -> float:
        """Parameters that are decoded ÷ parameters of the model; 0 where nothing in it is weights."""
        decoded = sum(tensor.size for tensor in self.weights)
        return decoded / (decoded + self.undecoded) if decoded else 0.0

    @property
    def weights(self) -> tuple[Tensor, ...]:
        """The tensors that hold weights kaibo can measure."""
        return tuple(tensor for tensor in self.tensors if tensor.dtype.measurable)

    @property
    def not_weights(self) -> tuple[Tensor, ...]:
        """The rest: integers, booleans, packed codes, bare scales."""
        return tuple(tensor for tensor in self.tensors if not tensor.dtype.measurable)
