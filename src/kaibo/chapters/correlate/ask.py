"""`kaibo measures` and `kaibo correlate`: any measurement of the store, or any column of a table, against any other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np

from kaibo.chapters.correlate.relation import CorrelateRow, Pair
from kaibo.chapters.correlate.relation import correlate as relate
from kaibo.chapters.correlate.rows import MEASURES, MeasureRow
from kaibo.chapters.digits import benford
from kaibo.chapters.stats import statistics
from kaibo.chapters.table.ask import Address, TableOptions, read
from kaibo.desk.measuring import open_store
from kaibo.errors import FormatError, UsageError
from kaibo.store import Store
from kaibo.tables.names import keys, read_aliases
from kaibo.version import __version__
from kaibo.vocabulary import Finding, Row
from kaibo.vocabulary.scores import nearest
from kaibo.words import Note, note

MOST_PAIRS = 5000


def _kinds() -> Mapping[str, tuple[Callable[[list[Row]], Finding[Any]], Note]]:

    return {
        "digits": (lambda rows: benford.digits(rows, "model"), note("measure_digits")),
        "stats": (lambda rows: statistics.stats(rows, "model"), note("measure_stats")),
    }


def stored_measures(store: Address | None = None) -> dict[str, dict[str, float]]:
    """Every number of a model that follows from the store, by measure (`digits.mae`) and model name."""
    opened = open_store(store)
    rows = _rows(opened)
    measures: dict[str, dict[str, float]] = {}
    for model, of_model in rows.items():
        for kind, (analyse, _) in _kinds().items():
            for found in analyse(of_model).rows:
                for field in fields(found):
                    value = getattr(found, field.name)
                    if isinstance(value, int | float) and not isinstance(value, bool) and np.isfinite(value):
                        measures.setdefault(f"{kind}.{field.name}", {})[model] = float(value)
    for name, values in _scores(opened).items():
        measures.setdefault(name, {}).update(values)
    return measures


def _rows(store: Store) -> dict[str, list[Row]]:
    """The rows of every model in the store, by name. A name with several contents keeps the one recorded last."""
    found = store.sql(
        "SELECT model, model_id, name, tensor, layer, role, dtype, shape, content FROM models ORDER BY name, tensor"
    ).to_pylist()
    censuses = store.censuses({one["content"] for one in found})
    rows: dict[str, dict[str, list[Row]]] = {}
    for one in found:
        census = censuses.get(one["content"])
        row = Row(
            one["model"], one["model_id"], one["tensor"], one["layer"], one["role"], one["dtype"],
            tuple(one["shape"]), one["content"], census,
        )  # fmt: skip
        rows.setdefault(one["name"] or one["model"], {}).setdefault(f"{one['model_id']} {one['model']}", []).append(row)
    return {name: next(reversed(versions.values())) for name, versions in rows.items()}


def _scores(store: Store) -> dict[str, dict[str, float]]:
    found = store.sql(
        "SELECT model, checkpoint, benchmark, metric, value FROM scores WHERE value IS NOT NULL"
    ).to_pylist()
    out: dict[str, dict[str, float]] = {}
    for one in found:
        name = f"scores.{one['benchmark']}" + (f".{one['metric']}" if one["metric"] else "")
        model = one["model"] if one["checkpoint"] is None else f"{one['model']}@{one['checkpoint']}"
        out.setdefault(name, {})[model] = one["value"]
    return out


def measures(*, store: Address | None = None) -> Finding[MeasureRow]:
    """Every `store:NAME` that `correlate` takes, with how many models have it."""
    meanings = {kind: meaning for kind, (_, meaning) in _kinds().items()} | {"scores": note("measure_scores")}
    rows = tuple(
        MeasureRow(name, len(values), meanings[name.split(".")[0]])
        for name, values in sorted(stored_measures(store).items())
    )
    return Finding(MEASURES, rows, (), {"kaibo": __version__})


def correlate(
    x: str, y: str, *, given: str | None = None, store: Address | None = None, options: TableOptions | None = None
) -> Finding[CorrelateRow]:
    """X and Y are `FILE:COLUMN` or `store:MEASURE`; columns may be patterns (`scores.csv:GLP_*`), then every pair is
    tested and corrected for. `given` is held fixed. Models are joined by name; an ambiguous one is an error.
    """
    aliases = read_aliases(options.alias) if options is not None and options.alias is not None else {}
    cache: dict[str, dict[str, dict[str, float]]] = {}

    def of(text: str) -> dict[str, dict[str, float]]:
        return _columns(text, store, options, cache)

    left, right = of(x), of(y)
    third = of(given) if given else {}
    if len(third) > 1:
        raise UsageError(f"{given} names {len(third)} columns; one can be held fixed")
    if len(left) * len(right) > MOST_PAIRS:
        raise UsageError(f"{len(left) * len(right):,} pairs", next=f"at most {MOST_PAIRS:,} at once")
    held = next(iter(third.items()), None)
    wanted = [(a, b) for a in left for b in right if (x, a) != (y, b)]
    if x == y:  # the same columns twice: each pair once
        order = {name: place for place, name in enumerate(left)}
        wanted = [(a, b) for a, b in wanted if order[a] < order[b]]
    pairs = [_pair(a, left[a], b, right[b], held, aliases) for a, b in wanted]
    if not pairs:
        raise UsageError("X and Y are the same column")
    finding = relate(pairs)
    return Finding(finding.kind, finding.rows, (*finding.notes, *_renamed(pairs)), finding.provenance)


def _pair(
    a: str, xs: dict[str, float], b: str, ys: dict[str, float], held: tuple[str, dict[str, float]] | None,
    aliases: Mapping[str, str],
) -> Pair:  # fmt: skip
    shown = {key: name for name, key in zip(ys, keys(list(ys), aliases), strict=True)}

    def joined(values: dict[str, float]) -> dict[str, float]:
        out: dict[str, float] = {}
        for name, key in zip(values, keys(list(values), aliases), strict=True):
            label = shown.setdefault(key, name)
            if label in out:
                raise FormatError(
                    f'"{name}" and another model are both joined as "{key}"', next="--alias FILE tells them apart"
                )
            out[label] = values[name]
        return out

    xs, ys = joined(xs), joined(ys)
    if not set(xs) & set(ys):
        raise UsageError(f"{a} and {b} have no model in common", next="name the pairs in a file: --alias FILE")
    return Pair(a, b, xs, ys, held[0] if held else None, joined(held[1]) if held else {})


def _renamed(pairs: list[Pair]) -> tuple[Note, ...]:
    lost = sorted({m for p in pairs[:1] for m in set(p.x_values) ^ set(p.y_values)})
    return (note("correlate_lone", names=", ".join(lost[:20])),) if lost else ()


def _columns(
    text: str, store: Address | None, options: TableOptions | None, cache: dict[str, dict[str, dict[str, float]]]
) -> dict[str, dict[str, float]]:
    """The columns behind `FILE:COLUMN` or `store:MEASURE`, each as values by model."""
    place, column = _parts(text)
    if place == "store":
        if place not in cache:
            cache[place] = stored_measures(store)
        known = cache[place]
        hits = [name for name in known if name == column or fnmatchcase(name, column)]
        if not hits:
            listed = (
                f"the store has {nearest(column, tuple(known))}"
                if known
                else "the store is empty; measure models first"
            )
            raise UsageError(f'no measure "{column}" in the store', next=listed)
        return {f"store:{name}": known[name] for name in hits}
    table = read(place, options).table
    facts = [name for name in (*table.facts, "flops") if name == column]
    names = facts[:1] or list(table.matching(column))
    return {
        name: {m: float(v) for m, v in zip(table.models, table.column(name), strict=True) if not np.isnan(v)}
        for name in names
    }


def _parts(text: str) -> tuple[str, str]:
    if text.startswith("store:"):
        return "store", text.removeprefix("store:")
    for at in [place for place, character in enumerate(text) if character == ":"]:  # a path or column may hold a colon
        if Path(text[:at]).exists():
            return text[:at], text[at + 1 :]
    place, colon, column = text.rpartition(":")
    if not colon or not place or not column:
        raise UsageError(
            f'"{text}" names no column', next="FILE:COLUMN, NAME-OF-A-SHIPPED-TABLE:COLUMN or store:MEASURE"
        )
    return place, column
