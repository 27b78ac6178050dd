"""What quantising lost: a base beside the codes that were made of it, and beside rounding it once to nearest.

The floor has the same levels and the same runs of values in a row, with the narrowest scale (and offset, where the
packing has one) that covers a run, kept in full precision: what nobody can do much better without knowing the texts.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kaibo.chapters.census.groups import key_order
from kaibo.chapters.quantise.rows import LOSS, LossRow
from kaibo.chapters.same.codes import Codes, codes, laid_out
from kaibo.chapters.same.spans import Sides, sides_of
from kaibo.collect import Options
from kaibo.collect.engine import ordered
from kaibo.models.packings.tiles import Floats32, Floats64
from kaibo.models.pairing import Pair, Pairing
from kaibo.version import __version__
from kaibo.vocabulary import By, Finding, Tensor, floats_of
from kaibo.vocabulary.compiling import compiled
from kaibo.words import note

SPAN = 1 << 18
SQUARE, LOST, NEAREST, STEPS, STEPPED, SATURATED, CLIPPED = range(7)


@dataclass(frozen=True)
class Loss:
    """Sums over a pair of tensors, and the channel (row) that lost most of itself."""

    pair: Pair
    how: str
    sums: Floats64
    channels: Floats64

    @property
    def worst(self) -> tuple[float, int]:
        """The greatest relative error of a channel, and which one it is."""
        with np.errstate(invalid="ignore", divide="ignore"):
            relative = np.sqrt(self.channels[1] / self.channels[0])
        known = np.where(np.isfinite(relative), relative, -1.0)
        return float(known.max(initial=-1.0)), int(known.argmax()) if known.size else 0


def losses(pairing: Pairing, options: Options) -> Iterator[Loss]:
    """Of every pair of which the tuned side alone is packed. Raises what reading either side raises."""
    held = [(pair, sides) for pair in pairing.pairs if (sides := _packed(pair)) is not None]
    tasks = [(at, *span) for at, (_, sides) in enumerate(held) for span in _spans(sides)]
    options.progress.begin("quantising", sum(end - begin for _, begin, end in tasks))
    found = [Loss(pair, sides.how, np.zeros(7), np.zeros((2, _channels(sides.rough)))) for pair, sides in held]

    def run(task: tuple[int, int, int]) -> tuple[int, int, Floats64, Floats64]:
        at, begin, end = task
        return (at, begin, *_lost(held[at][1], begin, end))

    with closing(ordered(tasks, run, options.workers)) as under_way:
        for (_, begin, end), (at, _, sums, channels) in zip(tasks, under_way, strict=True):
            options.progress.advance(end - begin)
            found[at].sums[:] += sums
            first = begin // _long(held[at][1].rough)
            found[at].channels[:, first : first + channels.shape[1]] += channels
    return iter(found)


def _packed(pair: Pair) -> Sides | None:
    sides = sides_of(pair)
    return sides if sides.packed is not None and sides.coarse == "b" and pair.base.size else None


def _long(tensor: Tensor) -> int:
    """Values of a channel."""
    return max(tensor.shape[-1], 1)


def _channels(tensor: Tensor) -> int:
    return tensor.size // _long(tensor)


def _spans(sides: Sides) -> Iterator[tuple[int, int]]:
    """Spans of whole rows of codes."""
    assert sides.packed is not None, "only packed tensors are looked at"
    columns = sides.packed.decoder.columns
    step = max(SPAN // columns, 1) * columns
    yield from ((begin, min(begin + step, sides.rough.size)) for begin in range(0, sides.rough.size, step))


def _lost(sides: Sides, begin: int, end: int) -> tuple[Floats64, Floats64]:
    """The sums of a span, and those of its channels."""
    fine, long = floats_of(sides.fine, begin, end).astype(np.float32, copy=False), _long(sides.rough)
    first = begin // long
    sums, channels = np.zeros(7), np.zeros((2, -(-end // long) - first))
    at = begin
    for found in codes(sides.rough, begin, end):
        _count(fine[at - begin : at - begin + found.count], found, (at - first * long, long), sums, channels)
        at += found.count
    return sums, channels


def _count(values: Floats32, found: Codes, place: tuple[int, int], sums: Floats64, channels: Floats64) -> None:
    levels = found.tiled.levels
    occurring = np.unique(levels.values[np.isfinite(levels.low) | np.isfinite(levels.high)]).astype(np.float64)
    tables = levels.values, levels.low, levels.high, occurring
    _lose(values, laid_out(found.tile), found.at, tables, found.tiled.factor, place, sums, channels)


@compiled
def _lose(
    values: Floats32,
    tile: tuple[NDArray[np.uint8], Floats32, Floats32, Floats32, NDArray[np.int32]],
    at: int,
    tables: tuple[Floats32, Floats64, Floats64, Floats64],
    factor: float,
    place: tuple[int, int],
    sums: Floats64,
    channels: Floats64,
) -> None:
    """Adds a span; `place` is where it begins, counted from the first channel, and the values of a channel."""
    codes, scales, zeros, offsets, group = tile
    table, low, high, occurring = tables
    columns, width = codes.shape[1], codes.shape[1] // max(scales.shape[1], 1)
    done = 0
    while done < values.size:
        row, column = (at + done) // columns, (at + done) % columns
        of = group[column] if group.size else column // width
        stop = column + 1 if group.size else (of + 1) * width
        while group.size and stop < columns and group[stop] == of:
            stop += 1
        count = min(stop - column, values.size - done)
        scale = np.float64(scales[row, of]) * factor
        zero = np.float64(zeros[row, of]) if zeros.size else 0.0
        offset = np.float64(offsets[row, of]) * factor if offsets.size else 0.0
        for i in range(count):
            code, value = codes[row, column + i], np.float64(values[done + i])
            less = value - ((np.float64(table[code]) - zero) * scale + offset)
            step = abs(scale) * _width(low[code], np.float64(table[code]), high[code])
            channel = (place[0] + done + i) // place[1]
            channels[0, channel] += value * value
            channels[1, channel] += less * less
            sums[SQUARE] += value * value
            sums[LOST] += less * less
            if step > 0:
                sums[STEPS] += (less / step) ** 2
                sums[STEPPED] += 1
            outward = less if scale > 0 else -less
            last, first = high[code] == np.inf, low[code] == -np.inf
            sums[SATURATED] += last or first
            sums[CLIPPED] += (last and outward > step / 2) or (first and -outward > step / 2)
        sums[NEAREST] += _nearest(values[done : done + count], occurring, zeros.size > 0 or offsets.size > 0)
        done += count


@compiled
def _width(low: float, level: float, high: float) -> float:
    """Of a cell; of one that ends nowhere twice what is on the other side of its level."""
    if high < np.inf and low > -np.inf:
        return high - low
    return 2 * (level - low) if low > -np.inf else 2 * (high - level)


@compiled
def _nearest(values: Floats32, levels: Floats64, moved: bool) -> float:
    """The squared error of a run rounded once to the nearest level under the narrowest scale that covers it."""
    least, most = np.float64(values.min()), np.float64(values.max())
    if moved:
        scale = (most - least) / (levels[-1] - levels[0])
        offset = least - levels[0] * scale
    else:
        plain, turned = _covering(least, most, levels), _covering(-most, -least, levels)
        scale, offset = (plain, 0.0) if plain <= turned else (-turned, 0.0)
    if not abs(scale) > 0:
        return 0.0
    error = 0.0
    for value in values:
        wanted = (np.float64(value) - offset) / scale
        above = min(max(np.searchsorted(levels, wanted), 1), levels.size - 1)
        less = min(abs(wanted - levels[above]), abs(wanted - levels[above - 1])) * scale
        error += less * less
    return error


@compiled
def _covering(least: float, most: float, levels: Floats64) -> float:
    """The least positive scale under which the levels reach both ends; infinite where none does."""
    up = most / levels[-1] if levels[-1] > 0 else (np.inf if most > 0 else 0.0)
    down = least / levels[0] if levels[0] < 0 else (np.inf if least < 0 else 0.0)
    return max(up, down, 0.0)


def lost(found: Iterable[tuple[str, str, Loss]], by: By = "model") -> Finding[LossRow]:
    """What was lost, by model, layer, role or tensor and by packing, from (base, quantised, loss) of each pair."""
    parts: dict[tuple[str, str, str | int | None, str], list[Loss]] = {}
    for base, model, one in found:
        tensor = one.pair.base
        key = {"model": None, "layer": tensor.layer, "role": tensor.role, "tensor": tensor.canonical}[by]
        parts.setdefault((base, model, key, one.how), []).append(one)
    order = sorted(parts, key=lambda key: (key[:2], key_order(key[2]), key[3]))
    rows = tuple(_row(key, by, parts[key]) for key in order)
    notes = (note("loss_floor"), note("loss_resolution")) if rows else ()
    return Finding(LOSS, rows, notes, {"kaibo": __version__})


def _row(key: tuple[str, str, str | int | None, str], by: By, several: list[Loss]) -> LossRow:
    sums = np.sum([one.sums for one in several], axis=0)
    n = sum(one.pair.base.size for one in several)
    worst = max(several, key=lambda one: one.worst[0])
    relative, channel = worst.worst
    norm = math.sqrt(sums[SQUARE])
    why = {} if norm else dict.fromkeys(("relative", "rounded_once"), note("loss_nothing"))
    return LossRow(
        base=key[0],
        model=key[1],
        by=by,
        key=key[2],
        packing=key[3],
        tensors=len(several),
        n=n,
        relative=math.sqrt(sums[LOST]) / norm if norm else None,
        rounded_once=math.sqrt(sums[NEAREST]) / norm if norm else None,
        resolution=math.sqrt(sums[STEPS] / sums[STEPPED]) if sums[STEPPED] else None,
        saturated=sums[SATURATED] / n,
        clipped=sums[CLIPPED] / n,
        worst=relative if relative >= 0 else None,
        channel=f"{worst.pair.base.canonical}[{channel}]",
        why=why if sums[STEPPED] else {**why, "resolution": note("loss_nothing")},
    )
