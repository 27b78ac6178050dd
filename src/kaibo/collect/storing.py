"""What storing on a grid would do: weights, and changes that are known exactly, are read once and rounded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from kaibo.collect.censuses import Options
from kaibo.collect.engine import named, ordered
from kaibo.collect.watch.stopping import Stopping
from kaibo.counting.rounding import rounding, rounding_total, whole_rows
from kaibo.errors import KaiboError
from kaibo.models.derived.updates import Floats32, Floats64, Update
from kaibo.vocabulary import Tensor, widen32
from kaibo.vocabulary.counts.rounding import QUANTISED, Rounding

UNPACKED = ("embedding", "head")
"""Roles of the matrices that 4- and 8-bit packers leave alone."""


@dataclass(frozen=True)
class Stored:
    """A tensor (with its change, if it is an update) and its roundings, one for each grid that is made for it."""

    tensor: Tensor
    roundings: tuple[Rounding, ...]


def packed(tensor: Tensor) -> bool:
    """Whether 4- and 8-bit packers take a tensor: matrices of linear layers, neither embeddings nor heads."""
    return tensor.dtype.measurable and len(tensor.shape) == 2 and tensor.role not in UNPACKED


def take_storing(
    sources: Sequence[Tensor | Update], grids: Sequence[str], options: Options, name: str
) -> Iterator[Stored]:
    """Each tensor rounded to every grid; of an `Update` the updated weight, with its change.

    Raises what reading raises; StoppedError after a signal.
    """

    def run(source: Tensor | Update) -> tuple[Tensor, tuple[Rounding, ...] | KaiboError]:
        tensor = _tensor(source)
        fitting = [grid for grid in grids if grid not in QUANTISED or packed(tensor)]
        try:
            return tensor, _rounded(source, fitting)
        except KaiboError as error:
            return tensor, named(error, tensor)

    tensors = map(_tensor, sources)
    options.progress.begin(name, sum(tensor.size * tensor.dtype.itemsize for tensor in tensors))
    with Stopping() as stopping, closing(ordered(sources, run, options.workers)) as under_way:
        for tensor, found in under_way:
            options.progress.advance(tensor.size * tensor.dtype.itemsize)
            if isinstance(found, KaiboError):
                raise found
            yield Stored(tensor, found)
            if stopping.signal is not None:
                break
        stopping.check()


def _tensor(source: Tensor | Update) -> Tensor:
    return source.tensor if isinstance(source, Update) else source


def _rounded(source: Tensor | Update, grids: Sequence[str]) -> tuple[Rounding, ...]:
    """One reading for all grids."""
    shape = _tensor(source).shape
    columns = shape[-1] if shape else 1
    parts: list[list[Rounding]] = [[rounding(grid, np.empty(0), None, columns)] for grid in grids]
    for weights, change in _read(source, whole_rows(columns)) if grids else ():
        for part, grid in zip(parts, grids, strict=True):
            part.append(rounding(grid, weights, change, columns))
    return tuple(rounding_total(part) for part in parts)


def _read(source: Tensor | Update, step: int) -> Iterator[tuple[Floats64, Floats32 | None]]:
    """The weights in float64 and, of an update, their change, whole rows at a time."""
    if isinstance(source, Update):
        yield from source.blocks(step)
        return
    for chunk in source.chunks(np.empty(step * source.dtype.itemsize, np.uint8)):
        yield widen32(source.dtype.name, chunk).astype(np.float64), None
