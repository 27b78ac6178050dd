"""`kaibo table`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kaibo.chapters.table import options as tables
from kaibo.desk import options
from kaibo.desk.answering import answering
from kaibo.desk.groups import grouped

Normalise = Annotated[bool, typer.Option("--normalise", help="Scores above chance: (value - chance) / (max - chance).")]
Chance = Annotated[
    list[str] | None, typer.Option("--chance", metavar="COLUMN=LEVEL", help="Chance level of a column, as a fraction.")
]
Keep = Annotated[bool, typer.Option("--keep", help="Keep the tidy rows in the store (table scores).")]
Wide = Annotated[
    Path | None, typer.Option("--wide", metavar="FILE", help="Write the wide view as CSV.", dir_okay=False)
]
Tidy = Annotated[
    Path | None, typer.Option("--tidy", metavar="FILE", help="Write one row a score as CSV.", dir_okay=False)
]


@grouped
def command(
    tables_: tables.Tables,
    normalise: Normalise = False,
    chance: Chance = None,
    keep: Keep = False,
    wide: Wide = None,
    tidy: Tidy = None,
    *,
    reading: tables.Reading,
    out: tables.TableOutput,
    store: options.StoreFolder = None,
) -> None:
    """Read tables of scores and say what is in them: holes, duplicates, averages, units, joins."""
    from kaibo.chapters.table.ask import table as look
    from kaibo.reports.provenance import Mark
    from kaibo.reports.writing import write_output
    from kaibo.tables.export import tidy_csv, wide_csv

    with answering("table", as_json=out.json) as answer:
        how = reading.options()
        levels = tables.numbers(chance, "--chance")
        finding, scores = look(
            tables_, options=how, normalise=normalise or bool(levels), chance=levels, store=store, keep=keep
        )
        for path, write in ((wide, wide_csv), (tidy, tidy_csv)):
            if path is not None:
                content = {path.name: write(scores).encode("utf-8", "backslashreplace")}
                write_output(path.parent, content, mark=Mark("table", scores.name), force=out.force)
        out.give(answer, finding)
