"""The table of commands."""

from __future__ import annotations

import typer

from kaibo.chapters.census import command as census
from kaibo.chapters.context import command as context
from kaibo.chapters.correlate import command as correlate
from kaibo.chapters.corrupt import command as corrupt
from kaibo.chapters.decode import command as decode
from kaibo.chapters.diff import command as diff
from kaibo.chapters.digits import command as digits
from kaibo.chapters.dissect import command as dissect
from kaibo.chapters.doctor import command as doctor
from kaibo.chapters.eval import command as evaluate
from kaibo.chapters.generate import command as generate
from kaibo.chapters.inspect import command as inspect
from kaibo.chapters.law import command as law
from kaibo.chapters.merge import command as merge
from kaibo.chapters.norms import command as norms
from kaibo.chapters.nursery import command as nursery
from kaibo.chapters.pca import command as pca
from kaibo.chapters.probe import command as probe
from kaibo.chapters.quantise import command as quantise
from kaibo.chapters.rescale import command as rescale
from kaibo.chapters.score import command as score
from kaibo.chapters.select import command as select
from kaibo.chapters.series import command as series
from kaibo.chapters.spectrum import command as spectrum
from kaibo.chapters.sql import command as sql
from kaibo.chapters.stats import command as stats
from kaibo.chapters.store import command as store
from kaibo.chapters.study import command as study
from kaibo.chapters.table import command as table
from kaibo.chapters.tour import command as tour
from kaibo.chapters.train import command as train
from kaibo.chapters.trajectories import command as along
from kaibo.chapters.trends import command as trends
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
