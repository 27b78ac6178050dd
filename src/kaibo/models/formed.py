"""A tensor that is stored nowhere: what is written on it, and what forms its values while they are read."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from kaibo.vocabulary import Buffer, DType, Patterns, Tensor


class Values(Protocol):
    """What a tensor's values come from: a formula over other tensors, or another tensor."""

    def chunks(self, buffer: Buffer, begin: int = 0, end: int | None = None) -> Iterator[Patterns]:
        """As `Tensor.chunks`, in the type and the order of the tensor that is formed."""
        ...


@dataclass(frozen=True, eq=False)
class Formed:
    """A tensor whose values are formed chunk by chunk. Satisfies the `Tensor` protocol, whose words its fields are."""

    name: str
    canonical: str
    dtype: DType
    shape: tuple[int, ...]
    layer: int | None
    role: str
    source_key: str | None
    values: Values

    @property
    def size(self) -> int:
        """Number of values."""
        return math.prod(self.shape)

    def chunks(self, buffer: Buffer, begin: int = 0, end: int | None = None) -> Iterator[Patterns]:
        """The values, a buffer's worth at a time; raises what reading the tensors they are formed from raises."""
        return self.values.chunks(buffer, begin, end)


FORMED = 2
"""Raised when a formula would give other values: what was measured of formed tensors is then measured again."""


def formed(values: Values, like: Tensor, *, dtype: DType | None = None, source_key: str | None = None) -> Formed:
    """A tensor of these values, named, shaped and placed as `like`; of its type, too, where no other is given.

    `source_key` names the tensors and the formula. The version of the formulas joins it, except where it is `like`'s
    own: then the values are those that are stored.
    """
    dtype = like.dtype if dtype is None else dtype
    key = source_key if source_key in (None, like.source_key) else f"formed {FORMED}|{source_key}"
    return Formed(like.name, like.canonical, dtype, like.shape, like.layer, like.role, key, values)
