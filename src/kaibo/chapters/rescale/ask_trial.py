"""`kaibo.questions.law_trial`: what it costs a model not to follow Benford's law, beside a control."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from kaibo.chapters.digits import benford
from kaibo.chapters.digits.rows import DigitsRow
from kaibo.chapters.rescale.law_trial import Trial
from kaibo.chapters.rescale.law_trial import law_trial as analyse
from kaibo.chapters.rescale.powers_of_two import WAYS, Towards, distance
from kaibo.chapters.rescale.rows import LawTrialRow
from kaibo.chapters.rescale.search import Found, search
from kaibo.chapters.score.ask import scores
from kaibo.collect import Options, take_census
from kaibo.collect.files.outputs import open_output
from kaibo.collect.files.shards import shards_of
from kaibo.collect.files.writing import write_shards
from kaibo.desk.addresses import Address
from kaibo.desk.measuring import Settings
from kaibo.models import open_model
from kaibo.models.anatomy import architecture
from kaibo.models.companions import companions
from kaibo.models.derived.couplings import couplings_of
from kaibo.models.derived.rescaled import rescaled
from kaibo.models.derived.snapped import Grid, Snapped, held, snapped, values_of
from kaibo.scoring.planning import WINDOW, ScoreSettings
from kaibo.scoring.texts.texts import read_texts
from kaibo.store import Store
from kaibo.vocabulary import Finding, Model

GRIDS: Mapping[str, tuple[Grid, ...]] = {
    "digits-1-2": (Grid(0.0, math.log10(3), 8),),
    "digits-7-9": (Grid(math.log10(7), 1.0, 8),),
    "4-bit": tuple(Grid(math.log10(d), math.log10(d + 1), 2, decades=4) for d in range(1, 10)),
    "ternary": tuple(Grid(math.log10(d), math.log10(d + 1), 2, ternary=True) for d in range(1, 10)),
}
"""What the weights are snapped to: levels that begin with chosen digits only; of several the one with least error."""

SAMPLED, WIDTHS, FINER = 1 << 12, 10, 5
"""Values of a tensor on which a control's error is matched; widths that are tried, and then between two of them."""

DRAWS = 3
"""Controls of each: the same levels, turned by other phases."""

TINY = 1e-30
"""So small that it changes no ratio of errors but keeps the logarithm of none."""

SHARD, PIECE = 5_000_000_000, 1 << 20
"""Bytes of a file that is written, and values that are compared at a time."""


@dataclass(frozen=True)
class _Made:
    """A model that lies in a folder, to be scored under a name."""

    name: str
    controls: tuple[str, ...]
    model: Model
    levels: int | None = None
    error: float = 0.0


@dataclass(frozen=True)
class _Workshop:
    """Where models are made: a folder that goes away, with a store of its own for what is counted there."""

    folder: Path
    store: Store
    options: Options

    def written(self, model: Model, config: str) -> Model:
        """A derived model as a folder of its own, opened; `config` is the address its small files come from."""
        place = self.folder / str(sum(1 for _ in self.folder.iterdir()))
        widened = next((tensor.dtype.name for tensor in model.weights), "") == "F32"
        small = dict(companions(config, "float32" if widened else None))
        planned = shards_of(model.tensors, SHARD, {"format": "pt"})
        output = open_output(place, "trial", [*small, *(one.name for one in planned)], force=True)
        for file, data in small.items():
            output.put(file, data)
        write_shards(planned, output, self.options)
        return open_model(place)

    def counted(self, model: Model) -> DigitsRow:
        """The first digits of a model."""
        collected = take_census(model, self.store, self.options)
        if collected.failures:
            raise collected.failures[0]
        return benford.digits(collected.rows).rows[0]

    def moved(self, model: Model, towards: Towards) -> Found:
        """How far powers of two that cancel bring it."""
        counts = np.array(self.counted(model).counts, np.int64)
        return search(couplings_of(model), counts, towards, self.options)


def law_trial(
    model: Address,
    texts: Address | Iterable[Address],
    *,
    characters: int | None = None,
    settings: Settings | None = None,
) -> Finding[LawTrialRow]:
    """A model rescaled towards the law and away from it, and snapped off the law, each beside a control, on texts.

    The models are written to a temporary folder and scored there, on the first `characters` of each text; nats are
    kept in the store. Raises FormatError for
    a model whose channels are not known to cancel, and whatever opening, reading and scoring raises.
    """
    settings = settings or Settings()
    opened = open_model(model, trust_shards=settings.trust_shards)
    couplings_of(opened)  # a model that cannot be rescaled is refused before anything is written
    documents = [replace(one, text=one.text[:characters]) for one in read_texts(texts, "strict")]
    trials = []
    with tempfile.TemporaryDirectory(prefix="kaibo-") as folder:
        options = replace(settings, verify=False).forming()
        shop = _Workshop(Path(folder) / "models", Store(Path(folder) / "store"), options)
        shop.folder.mkdir()
        for made in _variants(opened, shop):
            (scored,) = scores(made.model.address, documents, how=_once(opened), settings=settings)
            mae = shop.counted(made.model).mae
            control = made.name.endswith("-control")  # it was moved already
            nearest = mae if control else distance(shop.moved(made.model, "law").totals)
            logs = tuple(scored.logs)
            trials.append(Trial(made.name, made.controls, mae, nearest, made.levels, made.error, logs))
    return analyse(os.fspath(opened.address), trials)


def _once(model: Model) -> ScoreSettings:
    """Windows that hardly overlap: every token is read once, by all models alike."""
    window = min(architecture(model.config).context or WINDOW, WINDOW)
    return ScoreSettings(window=window, stride=window - 1)


def _variants(model: Model, shop: _Workshop) -> Iterator[_Made]:
    """The model itself, rescaled both ways, and each grid after its control."""
    yield _Made("as-is", (), model)
    for way in WAYS:
        found = rescaled(model, shop.moved(model, way).factors)
        yield _Made(f"rescaled-{way}", ("as-is",), shop.written(found, model.address))
    few = {tensor.canonical: held(tensor, SAMPLED) for tensor in model.weights}
    for name, grids in GRIDS.items():
        grid = min(grids, key=lambda one: sum(_apart(part, one) for part in few.values()))
        off = shop.written(snapped(model, grid), model.address)
        goal = _error(model, off)
        matched, made = _controls(model, grid, goal, few, shop)
        for draw in range(DRAWS):
            if draw:
                turned = {key: replace(one, draw=draw) for key, one in matched.items()}
                made = shop.written(snapped(model, turned), model.address)
            control = shop.written(rescaled(made, shop.moved(made, "law").factors), made.address)
            yield _Made(f"{name}-control", (), control, grid.levels, _error(model, made))
        yield _Made(name, (f"{name}-control",), off, grid.levels, goal)


def _controls(
    model: Model, grid: Grid, goal: float, few: Mapping[str, Snapped], shop: _Workshop
) -> tuple[dict[str, Grid], Model]:
    """The control's grids, and the first of the models on them: what the sample left over is corrected once."""
    matched = _matched(few, grid, 1.0)
    made = shop.written(snapped(model, matched), model.address)
    matched = _matched(few, grid, (goal / _error(model, made)) ** 2)
    return matched, shop.written(snapped(model, matched), model.address)


def _matched(few: Mapping[str, Snapped], grid: Grid, factor: float) -> dict[str, Grid]:
    """The control's grid of each tensor: the same levels turned by row, in a part of a decade so wide that the error
    is the same, times a factor.
    """
    out = {}
    for name, part in few.items():
        goal = factor * _apart(part, grid)
        widths = np.geomspace(0.03, 1.0, WIDTHS)
        for _ in range(2):
            turned = [replace(grid, low=0.0, high=float(width), spread=True) for width in widths]
            missed = [abs(math.log((_apart(part, one) + TINY) / (goal + TINY))) for one in turned]
            best = int(np.argmin(missed))
            widths = np.linspace(widths[max(best - 1, 0)], widths[min(best + 1, len(widths) - 1)], FINER)
        out[name] = turned[best]
    return out


def _apart(part: Snapped, grid: Grid) -> float:
    """Σ (w − w′)² of a sample under a grid."""
    made = replace(part, grid=grid, summary=[])
    return float(np.square(values_of(part.tensor, 0, part.tensor.size) - made.values(0, part.tensor.size)).sum())


def _error(before: Model, after: Model) -> float:
    """‖w − w′‖ ÷ ‖w‖ over all weights, a piece at a time."""
    apart = size = 0.0
    for one, other in zip(before.weights, after.weights, strict=True):
        for begin in range(0, one.size, PIECE):
            end = min(begin + PIECE, one.size)
            values = values_of(one, begin, end)
            apart += float(np.square(values - values_of(other, begin, end)).sum())
            size += float(np.square(values).sum())
    return math.sqrt(apart / size) if size else math.nan
