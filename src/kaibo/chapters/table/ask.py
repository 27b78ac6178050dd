"""`kaibo table`, and how every verb of the table side reads its tables."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from kaibo.chapters.table.rows import TABLE, AverageRow, TableRow
from kaibo.desk.measuring import open_store
from kaibo.documents.reading import TOML_LIMIT, read_text
from kaibo.tables import Reading, overview, read_table
from kaibo.tables.chance import above_chance
from kaibo.tables.files.sheets import Hints
from kaibo.tables.joins import pick_models
from kaibo.tables.names import read_aliases
from kaibo.tables.tidy import tidy
from kaibo.version import __version__
from kaibo.vocabulary import Finding
from kaibo.vocabulary.scores import ScoreTable

Address = str | os.PathLike[str]


@dataclass(frozen=True)
class TableOptions:
    """How tables are read, named as the options of the command line.

    `alias` is a file of other names for models, `models` a file (a name a line) or a list of the models to keep,
    `unit` the unit of columns (`percent`, `fraction`, `points`), `missing` texts that mean a missing cell,
    `dedupe` keeps the first of what occurs twice, `encoding` of text files, `model_column` names the column that
    names the models, `sheet` the sheet of a workbook, `decimal` the sign before the decimals (`point`, `comma`) by
    column, under "" that of all others.
    """

    alias: Address | None = None
    models: Address | tuple[str, ...] | None = None
    unit: Mapping[str, str] = field(default_factory=dict)
    missing: frozenset[str] = frozenset()
    dedupe: bool = False
    encoding: str | None = None
    model_column: str | None = None
    sheet: str | None = None
    decimal: Mapping[str, str] = field(default_factory=dict)

    @property
    def hints(self) -> Hints:
        """The same for the room that reads tables."""
        return Hints(self.encoding, self.unit, self.missing, self.dedupe, self.model_column, self.sheet, self.decimal)


def read(tables: Address | Iterable[Address], options: TableOptions | None = None) -> Reading:
    """The table of everything named, joined by model; only the models asked for, in the order asked."""
    options = options or TableOptions()
    aliases = read_aliases(options.alias) if options.alias is not None else {}
    several = [tables] if isinstance(tables, str | os.PathLike) else list(tables)
    reading = read_table([os.fspath(one) for one in several], options.hints, aliases)
    if options.models is None:
        return reading
    wanted = list(options.models) if isinstance(options.models, tuple) else _lines(options.models)
    kept = pick_models(reading.table, wanted, aliases)
    renamed = tuple(pair for pair in reading.renamed if pair[0] in kept.models)
    return Reading(kept, renamed, tuple(name for name in reading.unmatched if name in kept.models))


def _lines(path: Address) -> list[str]:
    lines = read_text(path, TOML_LIMIT).splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def score_table(tables: Address | Iterable[Address], options: TableOptions | None = None) -> ScoreTable:
    """The scores of a table (a file, or one that ships): models, benchmarks, values with NaN for a missing cell."""
    return read(tables, options).table


def table(
    tables: Address | Iterable[Address],
    *,
    options: TableOptions | None = None,
    normalise: bool = False,
    chance: Mapping[str, float] | None = None,
    store: Address | None = None,
    keep: bool = False,
) -> tuple[Finding[TableRow], ScoreTable]:
    """What is in a table, and the table; scores above chance with `normalise`, tidy rows stored with `keep`."""
    reading = read(tables, options)
    found = overview(reading.table)
    scores = above_chance(reading.table, chance) if normalise else reading.table
    if keep:
        open_store(store).record_scores(list(tidy(scores)))
    known = {name: int((scores.fact(name) == scores.fact(name)).sum()) for name in scores.facts}
    row = TableRow(
        scores.name,
        scores.models,
        scores.benchmarks,
        found.missing,
        dict(found.missing_by_model),
        dict(found.missing_by_benchmark),
        dict(zip(scores.benchmarks, scores.units, strict=True)),
        tuple(one.benchmark for one in found.averages),
        tuple(AverageRow(one.benchmark, one.members, one.weights, one.residual) for one in found.averages),
        found.near_duplicates,
        found.constant,
        found.empty,
        len(set(scores.families)),
        known,
        reading.renamed,
        reading.unmatched,
    )
    notes = (*scores.notes, *found.notes)
    return Finding(TABLE, (row,), notes, {"table": scores.name, "kaibo": __version__}), scores


def chosen_columns(
    scores: ScoreTable, columns: str | None, without: str | None, keep_averages: bool
) -> tuple[ScoreTable, tuple[str, ...]]:
    """The table of the columns asked for, without averages among them (and those names), unless they are kept."""
    names = scores.matching(columns) if columns else scores.benchmarks
    dropped = set(scores.matching(without)) if without else set()
    part = scores.only([name for name in names if name not in dropped])
    means = () if keep_averages else tuple(one.benchmark for one in overview(part).averages)
    note = (f"left out as averages of other columns: {', '.join(means)}",) if means else ()
    kept = part.only([name for name in part.benchmarks if name not in means])
    return replace(kept, notes=(*kept.notes, *note)), means
