"""The cells of a tensor: the interval of values that round to each of its stored codes, through any view of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kaibo.models.formats import StoredTensor
from kaibo.models.formed import Formed
from kaibo.models.packings import Packed, group_of
from kaibo.models.rows import ChosenRows
from kaibo.models.views import Computed, Transposed
from kaibo.vocabulary import Tensor

Floats64 = NDArray[np.float64]


def packed_under(tensor: Tensor) -> str:
    """How a tensor is packed, under whatever views; "" where it is stored as it is."""
    group = group_of(tensor)
    if group is not None:
        return group.how
    inner = _inner(tensor)
    return packed_under(inner) if inner is not None else ""


def is_computed(tensor: Tensor) -> bool:
    """Whether a formula stands between the stored values and these, under whatever views."""
    if isinstance(tensor, Formed) and isinstance(tensor.values, Computed):
        return True
    inner = _inner(tensor)
    return inner is not None and is_computed(inner)


def _inner(tensor: Tensor) -> Tensor | None:
    """The tensor that a view is of."""
    values = tensor.values if isinstance(tensor, Formed) else None
    if isinstance(values, ChosenRows | Computed | Transposed):
        return values.tensor
    return values if isinstance(values, Formed | StoredTensor) else None  # a tensor under another name


def cells(tensor: Tensor, begin: int, low: Floats64, high: Floats64) -> None:
    """Fills in the intervals of the values from `begin` on; of a tensor that is not packed an assertion fails."""
    values = tensor.values if isinstance(tensor, Formed) else None
    if isinstance(values, Packed):
        values.decoder.cell(begin, low, high)
    elif isinstance(values, ChosenRows):
        _of_rows(values, tensor.shape, begin, low, high)
    elif isinstance(values, Transposed):
        _of_columns(values, begin, low, high)
    else:
        inner = _inner(tensor)
        assert inner is not None, "only packed tensors have cells"
        cells(inner, begin, low, high)
        if isinstance(values, Computed):
            low[:], high[:] = values.formula(low), values.formula(high)


def _of_rows(chosen: ChosenRows, shape: tuple[int, ...], begin: int, low: Floats64, high: Floats64) -> None:
    long, end = int(np.prod(shape[1:], dtype=np.int64)), begin + low.size
    for first, row, count in chosen.runs:
        start, stop = max(begin, first * long), min(end, (first + count) * long)
        if start < stop:
            part = slice(start - begin, stop - begin)
            cells(chosen.tensor, start + (row - first) * long, low[part], high[part])


def _of_columns(turned: Transposed, begin: int, low: Floats64, high: Floats64) -> None:
    """A column is a value of each row; a band of columns is read row by row."""
    rows, columns = turned.tensor.shape
    left, right = begin // rows, -(-(begin + low.size) // rows)
    both = np.empty((2, rows, right - left))
    for row in range(rows):
        cells(turned.tensor, row * columns + left, both[0, row], both[1, row])
    for band, out in zip(both, (low, high), strict=True):
        out[:] = band.T.reshape(-1)[begin - left * rows :][: low.size]
