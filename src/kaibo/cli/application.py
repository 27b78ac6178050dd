"""The table of commands."""

from __future__ import annotations

import typer

from kaibo.cli import (
    census,
    context,
    correlate,
    corrupt,
    decode,
    diff,
    digits,
    dissect,
    doctor,
    evaluate,
    generate,
    inspect,
    law,
    merge,
    norms,
    nursery,
    pca,
    probe,
    quantise,
    rescale,
    score,
    select,
    series,
    spectrum,
    sql,
    stats,
    store,
    study,
    table,
    tour,
    train,
    trends,
)
from kaibo.cli import trajectories as along
from kaibo.version import __version__

application = typer.Typer(
    name="kaibo",
    help="Takes open language models apart: what a model is made of, counted exactly.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"kaibo {__version__}")
        raise typer.Exit


@application.callback()
def _common(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Show the version."),
) -> None:
    """Exact accounts of what a model is made of."""


application.command("dissect")(dissect.command)
application.command("inspect")(inspect.command)
application.command("census")(census.command)
application.command("digits")(digits.command)
application.command("stats")(stats.command)
application.command("spectrum")(spectrum.command)
application.command("series")(series.command)
application.command("diff")(diff.command)
application.command("merge")(merge.command)
application.command("score")(score.command)
application.command("trends")(trends.command)
application.command("eval")(evaluate.command)
application.command("corrupt")(corrupt.command)
application.command("decode")(decode.command)
application.command("norms")(norms.command)
application.command("table")(table.command)
application.command("pca")(pca.command)
application.command("law")(law.law)
application.command("forecast")(law.forecast)
application.command("select")(select.command)
application.command("correlate")(correlate.correlate)
application.command("measures")(correlate.measures)
application.command("trajectories")(along.command)
application.command("generate")(generate.command)
application.command("tour")(tour.command)
application.command("context")(context.command)
application.command("quantise")(quantise.command)
application.command("rescale")(rescale.command)
application.command("train")(train.command)
application.command("runs")(train.runs)
application.command("nursery")(nursery.command)
application.command("probe")(probe.command)
application.command("sql")(sql.command)
application.add_typer(study.commands, name="study")
application.add_typer(store.commands, name="store")
application.command("doctor")(doctor.command)
