"""The matrices inside a tensor, each read as blocks of rows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kaibo.vocabulary import Tensor, widen32

BLOCK = 4 << 20
"""Values in a block of rows, about."""

Real = NDArray[np.float32] | NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Matrix:
    """One matrix of a tensor: the whole of a two-dimensional one, or one expert of a stack of them.

    `part` is the place in the stack (0 for a lone matrix), `begin` the place of its first value in the tensor.
    """

    tensor: Tensor
    part: int
    rows: int
    columns: int
    begin: int = 0

    @property
    def size(self) -> int:
        """Number of values."""
        return self.rows * self.columns

    def blocks(self, rows: int | None = None) -> Iterator[Real]:
        """Blocks of at most `rows` rows, in order, each an array of its own in float32 (float64 for 64-bit floats).

        Unasked a block takes about 16 MiB in float32. Raises what reading the tensor raises.
        """
        rows = rows or max(1, BLOCK // self.columns)
        width = self.tensor.dtype.itemsize
        buffer = np.empty(max(1, min(rows, self.rows) * self.columns * max(width, 4)), np.uint8)
        for first in range(0, self.rows, rows):
            count = min(rows, self.rows - first) * self.columns
            begin = self.begin + first * self.columns
            chunks = [
                np.array(widen32(self.tensor.dtype.name, chunk))
                for chunk in self.tensor.chunks(buffer, begin, begin + count)
            ]
            yield np.concatenate(chunks).reshape(-1, self.columns)

    def scaled(self, kind: type[np.floating], factor: float, rows: int | None = None) -> Iterator[Real]:
        """The same blocks times a power of two, in a type of choice."""
        for block in self.blocks(rows):
            yield (block if factor == 1.0 else block * block.dtype.type(factor)).astype(kind, copy=False)


def safe_factor(scale: float) -> float:
    """A power of two that brings entries of at most `scale` to where float32 can square them and add the squares.

    >>> safe_factor(0.02), safe_factor(1e30) * 1e30 < 2
    (1.0, True)
    """
    return 1.0 if 1e-15 < scale < 1e15 else math.ldexp(1.0, max(-1000, min(1000, -math.frexp(scale)[1])))


def matrices_of(tensor: Tensor) -> tuple[tuple[Matrix, ...], str]:
    """The matrices of a tensor, and why there are none where there are none.

    A tensor of three dimensions is a stack of matrices, as experts are stored.
    """
    shape = tensor.shape
    if not tensor.dtype.measurable:
        return (), f"{tensor.dtype.name} is not a type of weights"
    if len(shape) not in (2, 3):
        kinds = {0: "one number", 1: "a vector"}
        return (), f"{kinds.get(len(shape), f'{len(shape)} dimensions')}, not a matrix"
    if not math.prod(shape):
        return (), "no values"
    rows, columns = shape[-2:]
    parts = shape[0] if len(shape) == 3 else 1
    return tuple(Matrix(tensor, part, rows, columns, part * rows * columns) for part in range(parts)), ""
