"""A low-rank update of one tensor: ΔW = s·B·A, formed a block at a time and never kept.

Each value is a sum over the rank in one fixed order in float64, times s, rounded once to float32: the same for any
block and any number of workers, within 2⁻²⁴ of the product of the stored factors. The adapted tensor W + ΔW is
formed in float64, so that subtracting W from it gives the very same ΔW again wherever |ΔW| > 2⁻²⁹·|W|, and
otherwise one within 2⁻⁵³·|W| of it.

DoRA (Liu et al. 2024, arXiv 2402.09353): ΔW = m·(W + s·B·A)/‖W + s·B·A‖ − W, one norm for each output; the norms
are float64 sums over whole rows, made once for a tensor.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kaibo.models.formed import formed
from kaibo.vocabulary import DTYPES, Buffer, Patterns, Tensor, widen32
from kaibo.vocabulary.compiling import compiled

Floats64 = NDArray[np.float64]
Floats32 = NDArray[np.float32]
Matrix = NDArray[np.floating]
TILE = 512
"""Values of a row that are formed together."""

BLOCK_VALUES = 1 << 18
"""About how many values are formed at a time where DoRA's norms are added up."""


@compiled
def _product(left: Matrix, right: Matrix, scale: float, begin: int, out: Floats64) -> None:
    """Values `begin` … of scale·left·right in row-major order, each added over the rank in order.

    A tile of one row at a time stays in the nearest cache. Four of the rank are added in one sweep, one after the
    other, so that nothing but the traffic differs from one at a time.
    """
    columns, rank = right.shape[1], left.shape[1]
    whole = rank // 4 * 4
    at = 0
    while at < out.size:
        row, column = (begin + at) // columns, (begin + at) % columns
        count = min(TILE, columns - column, out.size - at)
        tile = out[at : at + count]
        tile[:] = 0.0
        for k in range(0, whole, 4):
            f0, f1 = np.float64(left[row, k]), np.float64(left[row, k + 1])
            f2, f3 = np.float64(left[row, k + 2]), np.float64(left[row, k + 3])
            r0, r1 = right[k, column : column + count], right[k + 1, column : column + count]
            r2, r3 = right[k + 2, column : column + count], right[k + 3, column : column + count]
            for j in range(count):
                tile[j] = (((tile[j] + f0 * r0[j]) + f1 * r1[j]) + f2 * r2[j]) + f3 * r3[j]
        for k in range(whole, rank):
            factor, line = np.float64(left[row, k]), right[k, column : column + count]
            for j in range(count):
                tile[j] += factor * line[j]
        for j in range(count):
            tile[j] *= scale
        at += count


@compiled
def _squares(values: Floats64, columns: int, row: int, axis: int, out: Floats64) -> None:
    """Adds the squares of whole rows, the first of which is `row`, to the sums of rows (axis 0) or columns (1)."""
    for line in range(values.size // columns):
        whole = values[line * columns : (line + 1) * columns]
        if axis == 0:
            for j in range(columns):
                out[row + line] += whole[j] * whole[j]
        else:
            for j in range(columns):
                out[j] += whole[j] * whole[j]


@compiled
def _rescaled(weights: Floats64, values: Floats64, factors: Floats64, columns: int, begin: int, axis: int) -> None:
    """values = factor·(weights + values) − weights, with the factor of each value's row (axis 0) or column (1)."""
    for i in range(values.size):
        at = begin + i
        factor = factors[at // columns if axis == 0 else at % columns]
        values[i] = factor * (weights[i] + values[i]) - weights[i]


@dataclass(frozen=True)
class Factors:
    """The stored factors of one update: `outer` is B and `inner` is A, with s as `scale` and DoRA's m, if any.

    `transposed` says that the weights are stored inputs × outputs (Conv1D of GPT-2, embeddings), so that the update
    is (B·A)ᵀ.
    """

    outer: Tensor
    inner: Tensor
    scale: float
    transposed: bool = False
    magnitude: Tensor | None = None

    @property
    def rank(self) -> int:
        """The number of rows of A; the rank of B·A is at most that."""
        return self.inner.shape[0]

    @property
    def shape(self) -> tuple[int, int]:
        """The shape of the update as the weights are stored."""
        outputs, inputs = self.outer.shape[0], self.inner.shape[1]
        return (inputs, outputs) if self.transposed else (outputs, inputs)

    @property
    def parameters(self) -> int:
        """How many numbers were trained."""
        return self.outer.size + self.inner.size + (self.magnitude.size if self.magnitude is not None else 0)

    def loaded(self) -> tuple[Matrix, Matrix]:
        """(left, right) with ΔW = s·left·right in the shape in which the weights are stored."""
        outer, inner = values_of(self.outer), values_of(self.inner)
        if not self.transposed:
            return outer, inner
        return np.ascontiguousarray(inner.T), np.ascontiguousarray(outer.T)

    @property
    def key(self) -> str | None:
        """Names the factors without reading them; None where one is not known."""
        parts = [tensor.source_key for tensor in (self.outer, self.inner, self.magnitude) if tensor is not None]
        return None if None in parts else f"{'|'.join(map(str, parts))}|{self.scale!r}|{self.transposed}"


def values_of(tensor: Tensor) -> Matrix:
    """All values of a small tensor in its shape, float32 (of 64-bit floats float64)."""
    room = np.empty(max(tensor.size * tensor.dtype.itemsize, 8), np.uint8)
    found = [widen32(tensor.dtype.name, chunk) for chunk in tensor.chunks(room)]
    values: Matrix = found[0] if found else np.empty(0, np.float32)
    return np.ascontiguousarray(values).reshape(tensor.shape)


@dataclass(frozen=True, eq=False)
class Update:
    """The update of one weight of a base: ΔW in float32; `weight` is the base's tensor.

    Beside the caller's buffer its reader holds the factors and a block of the weights.
    """

    weight: Tensor
    factors: Factors

    @property
    def tensor(self) -> Tensor:
        """ΔW; its source key names the factors and the weight, of which DoRA needs both."""
        key = _key("update", self.factors.key, self.weight.source_key)
        return formed(self, self.weight, dtype=DTYPES["F32"], source_key=key)

    def chunks(self, buffer: Buffer, begin: int = 0, end: int | None = None) -> Iterator[Patterns]:
        """The values of ΔW, a buffer's worth at a time; raises what reading factors and weight raises."""
        for _, values in self.blocks(buffer.nbytes // 4, begin, end):
            out = buffer[: 4 * values.size].view(np.float32)
            out[:] = values
            yield out.view("<u4")

    def blocks(self, step: int, begin: int = 0, end: int | None = None) -> Iterator[tuple[Floats64, Floats32]]:
        """W in float64 and ΔW in float32, `step` values at a time."""
        left, right = self.factors.loaded()
        room = np.empty(step * self.weight.dtype.itemsize, np.uint8)
        at = begin
        for chunk in self.weight.chunks(room, begin, end):
            weights = widen32(self.weight.dtype.name, chunk).astype(np.float64)
            values = np.empty(weights.size, np.float64)
            _product(left, right, self.factors.scale, at, values)
            if self.factors.magnitude is not None:
                _rescaled(weights, values, self._rescaling, self.weight.shape[1], at, self._axis)
            at += values.size
            with np.errstate(over="ignore", invalid="ignore", under="ignore"):
                yield weights, values.astype(np.float32)

    @property
    def _axis(self) -> int:
        return 1 if self.factors.transposed else 0

    @cached_property
    def _rescaling(self) -> Floats64:
        """m/‖W + s·B·A‖ of each output, from one pass over the weight in whole rows."""
        assert self.factors.magnitude is not None, "only DoRA has magnitudes"
        left, right = self.factors.loaded()
        rows, columns = self.weight.shape
        squares = np.zeros(self.weight.shape[self._axis], np.float64)
        count = max(1, BLOCK_VALUES // max(columns, 1))
        room = np.empty(count * columns * self.weight.dtype.itemsize, np.uint8)
        for row, chunk in zip(range(0, rows, count), self.weight.chunks(room), strict=True):
            values = np.empty(chunk.size, np.float64)
            _product(left, right, self.factors.scale, row * columns, values)
            values += widen32(self.weight.dtype.name, chunk)
            _squares(values, columns, row, self._axis, squares)
        with np.errstate(divide="ignore", invalid="ignore"):
            rescaling: Floats64 = values_of(self.factors.magnitude).reshape(-1) / np.sqrt(squares)
        return rescaling


@dataclass(frozen=True, eq=False)
class Adapted:
    """W + ΔW in float64, the sum of a stored weight and its update: only there is the sum exact."""

    update: Update

    def chunks(self, buffer: Buffer, begin: int = 0, end: int | None = None) -> Iterator[Patterns]:
        """The sums, a buffer's worth at a time; raises what reading factors and weight raises."""
        for weights, values in self.update.blocks(buffer.nbytes // 8, begin, end):
            out = buffer[: 8 * values.size].view(np.float64)
            with np.errstate(over="ignore", invalid="ignore"):
                np.add(weights, values, out=out)
            yield out.view("<u8")


def adapted(update: Update) -> Tensor:
    """A weight with its update added, in float64."""
    key = _key("adapted", update.tensor.source_key)
    return formed(Adapted(update), update.weight, dtype=DTYPES["F64"], source_key=key)


def _key(*parts: str | None) -> str | None:
    return None if None in parts else hashlib.sha256("|".join(map(str, parts)).encode()).hexdigest()
