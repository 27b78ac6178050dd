"""Tables joined by model: every pair whose names differ is shown, an ambiguous one is an error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from kaibo.errors import FormatError, UsageError
from kaibo.tables.names import canonical, keys
from kaibo.vocabulary.scores import ScoreTable


@dataclass(frozen=True, eq=False)
class Joined:
    """Two tables as one: all models of either, the columns of both.

    `renamed` lists the pairs (name in the first, name in the second) that were taken for one model though they are
    written differently; `only_first` and `only_second` the models that the other table lacks.
    """

    table: ScoreTable
    renamed: tuple[tuple[str, str], ...]
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]


def join(first: ScoreTable, second: ScoreTable, aliases: Mapping[str, str] | None = None) -> Joined:
    """Outer join by canonical name: full names first, then without the organisation.

    Columns that both have keep the first table's name; the second's gets its table's name before it. Facts of the
    second fill holes of the first. Raises FormatError where two models of one table have one key.
    """
    left, right = _keyed(first, aliases or {}), _keyed(second, aliases or {})
    shared = [key for key in left if key in right]
    if not shared:
        raise UsageError(
            f"{first.name} and {second.name} have no model in common", next="name the pairs in a file: --alias FILE"
        )
    rest = [key for key in right if key not in left]
    rows = [*left.items(), *((key, None) for key in rest)]
    i = np.array([-1 if place is None else place for _, place in rows])
    j = np.array([right.get(key, -1) for key, _ in rows])
    table = _merged(first, second, i, j)
    pairs = tuple((first.models[left[key]], second.models[right[key]]) for key in shared)
    return Joined(
        table,
        tuple((a, b) for a, b in pairs if a != b),
        tuple(first.models[place] for key, place in left.items() if key not in right),
        tuple(second.models[right[key]] for key in rest),
    )


def _keyed(table: ScoreTable, aliases: Mapping[str, str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for place, key in enumerate(keys(table.models, aliases)):
        if key in found:
            raise FormatError(
                f'"{table.models[found[key]]}" and "{table.models[place]}" would both be joined as "{key}"',
                file=table.name,
                next="tell them apart in a file: --alias FILE",
            )
        found[key] = place
    return found


def _merged(first: ScoreTable, second: ScoreTable, i: np.ndarray, j: np.ndarray) -> ScoreTable:
    def pick(array: np.ndarray, index: np.ndarray) -> np.ndarray:
        padded = (
            np.vstack([array, np.full((1, *array.shape[1:]), np.nan)]) if array.ndim == 2 else np.append(array, np.nan)
        )
        picked: np.ndarray = padded[index]
        return picked

    titles = tuple(f"{second.name}:{name}" if name in first.benchmarks else name for name in second.benchmarks)
    values = np.hstack([pick(first.values, i), pick(second.values, j)])
    models = tuple(first.models[a] if a >= 0 else second.models[b] for a, b in zip(i, j, strict=True))
    families = tuple(first.families[a] if a >= 0 else second.families[b] for a, b in zip(i, j, strict=True))
    facts = {}
    for name in dict.fromkeys((*first.facts, *second.facts)):
        ours, theirs = pick(first.fact(name), i), pick(second.fact(name), j)
        facts[name] = np.where(np.isnan(ours), theirs, ours)
    labels = {name: tuple(texts[a] if a >= 0 else None for a in i) for name, texts in first.labels.items()}
    benchmarks = (*first.benchmarks, *titles)
    renamed = dict(zip(second.models, [canonical(name) for name in second.models], strict=True))
    by_key = {canonical(name): name for name in models}
    originals = dict(first.originals) | {
        (by_key.get(renamed[model], model), titles[second.benchmarks.index(name)]): text
        for (model, name), text in second.originals.items()
    }
    notes = tuple(dict.fromkeys((*first.notes, *second.notes)))
    units = (*first.units, *second.units)
    return ScoreTable(
        f"{first.name} + {second.name}",
        models,
        benchmarks,
        values,
        units,
        families,
        facts,
        labels,
        originals,
        None,
        notes,
    )


def pick_models(table: ScoreTable, wanted: list[str], aliases: Mapping[str, str] | None = None) -> ScoreTable:
    """The rows of the models named, in that order. Raises UsageError for names the table does not have."""
    exact = {name: place for place, name in enumerate(table.models)}
    folded = {key: place for place, key in enumerate(keys(table.models, aliases or {}))}
    places = [exact.get(name, folded.get(key)) for name, key in zip(wanted, keys(wanted, aliases or {}), strict=True)]
    absent = [name for name, place in zip(wanted, places, strict=True) if place is None]
    if absent:
        raise UsageError(
            f"{table.name} has no model {', '.join(absent[:5])}"
            + (f" and {len(absent) - 5} more" if len(absent) > 5 else "")
        )
    return table.rows([place for place in places if place is not None])
