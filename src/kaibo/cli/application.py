"""The table of commands, in the panels that `kaibo --help` shows, each with an example that runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import typer
from typer.core import TyperGroup

from kaibo.chapters.census import command as census
from kaibo.chapters.check import command as check
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
from kaibo.chapters.pass_at_k import command as pass_at_k
from kaibo.chapters.pca import command as pca
from kaibo.chapters.probe import command as probe
from kaibo.chapters.quantise import command as quantise
from kaibo.chapters.rescale import command as rescale
from kaibo.chapters.same import command as same
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
from kaibo.chapters.unpack import command as unpack
from kaibo.version import __version__


class Panels(TyperGroup):
    """The group of all commands; its help lists them by what they are for, a whole sentence each."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Writes a section for each panel."""
        for title, members in PANELS.items():
            with formatter.section(title):
                formatter.write_dl([(name, _sentence(self.commands[name])) for name, *_ in members])


def _sentence(command: Any) -> str:
    """The first line of a command's help."""
    return str(command.help or "").strip().split("\n")[0]


application = typer.Typer(
    name="kaibo",
    cls=Panels,
    help="Takes open language models apart: what a model is made of, what changed, how it learned, what predicts it.",
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


PANELS: Mapping[str, Sequence[tuple[str, Any, str]]] = {
    "Take apart": (
        ("dissect", dissect.command, "dissect ./my-model"),
        ("inspect", inspect.command, "inspect ./my-model"),
        ("digits", digits.command, "digits ./my-model --by role"),
        ("stats", stats.command, "stats ./my-model ./other-model"),
        ("spectrum", spectrum.command, "spectrum ./my-model --by role"),
        ("census", census.command, "census ./my-model"),
        ("tour", tour.command, "tour llama"),
        ("check", check.command, "check ./my-model"),
    ),
    "Compare": (
        ("diff", diff.command, "diff ./my-model ./other-model --top 5,20"),
        ("same", same.command, "same ./my-model ./my-model"),
        ("series", series.command, "series ./my-run"),
        ("norms", norms.command, "norms 8030261248 1073358.0 16.658565739582745"),
    ),
    "Behaviour": (
        ("score", score.command, "score ./my-llm --text text.txt"),
        ("eval", evaluate.command, "eval ./my-llm --task my-task.toml"),
        ("corrupt", corrupt.command, "corrupt ./my-llm --text text.txt --share 0,0.5,1"),
        ("trends", trends.command, "trends ./my-llm-run --text text.txt"),
        ("generate", generate.command, 'generate ./my-llm --prompt "The quick brown" --max-tokens 8'),
        ("decode", decode.command, 'decode ./my-llm ./other-llm --prompt "The quick brown" --max-tokens 4'),
        ("context", context.command, "context ./my-llm --text text.txt --windows 2 --passkeys 0"),
        ("quantise", quantise.command, "quantise ./my-llm --report --text text.txt --windows 2"),
        ("probe", probe.command, "probe ./my-llm"),
        ("pass-at-k", pass_at_k.command, "pass-at-k samples.jsonl --problems HumanEval.jsonl.gz"),
    ),
    "Scores": (
        ("table", table.command, "table llama-zero-shot"),
        ("pca", pca.command, "pca open-models"),
        ("law", law.law, "law open-models training-tokens --target MMLU"),
        ("forecast", law.forecast, "forecast open-models training-tokens --target MMLU --flops 5e24"),
        ("select", select.command, "select open-models --budget 2"),
        ("correlate", correlate.correlate, "correlate first-digits:MAE first-digits:score"),
        ("measures", correlate.measures, "measures"),
        ("trajectories", along.command, "trajectories ./my-llm-run --task my-task.toml --text text.txt"),
        ("study", study.commands, "study list"),
    ),
    "Make": (
        ("merge", merge.command, "merge ./my-model ./other-model ./third-model --method ties --out ./merged"),
        ("rescale", rescale.command, "rescale ./my-llm --towards law --out ./rescaled"),
        ("unpack", unpack.command, "unpack ./my-model --out ./unpacked"),
        ("train", train.command, "train my-recipe.toml --out ./runs"),
        ("runs", train.runs, "runs"),
        ("nursery", nursery.command, "nursery ./nursery"),
    ),
    "Keep": (
        ("store", store.commands, "store ls"),
        ("sql", sql.command, 'sql "SELECT role, sum(n) FROM models GROUP BY role"'),
        ("doctor", doctor.command, "doctor"),
    ),
}
"""Every command: its name, what runs it, and an example that its help shows."""

for _members in PANELS.values():
    for _name, _command, _example in _members:
        if isinstance(_command, typer.Typer):
            application.add_typer(_command, name=_name, epilog=f"Example: kaibo {_example}")
        else:
            application.command(_name, epilog=f"Example: kaibo {_example}")(_command)
