"""The table of commands, in the panels that `kaibo --help` shows, each with an example that runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

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


WHAT = "Takes open language models apart: what a model is made of, what changed, how it learned, what predicts it."


def application(named: str | None = None) -> typer.Typer:
    """The parser of all commands; of the one that is named alone, where there is one of that name.

    A command's modules are loaded when its parser is built, so a command line pays for its own.
    """
    built = typer.Typer(
        name="kaibo",
        cls=Panels,
        help=WHAT,
        no_args_is_help=True,
        add_completion=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    built.callback()(_common)
    listed = [one for members in PANELS.values() for one in members]
    for name, place, example in [one for one in listed if one[0] == named] or listed:
        chapter, _, held = place.partition(":")
        command = getattr(import_module(f"kaibo.chapters.{chapter}.command"), held or "command")
        epilog = f"Example: kaibo {example}"
        if isinstance(command, typer.Typer):
            built.add_typer(command, name=name, epilog=epilog)
        else:
            built.command(name, epilog=epilog)(command)
    return built


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"kaibo {__version__}")
        raise typer.Exit


def _common(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Show the version."),
) -> None:
    """Exact accounts of what a model is made of."""


PANELS: Mapping[str, Sequence[tuple[str, str, str]]] = {
    "Take apart": (
        ("dissect", "dissect", "dissect ./my-model"),
        ("inspect", "inspect", "inspect ./my-model"),
        ("digits", "digits", "digits ./my-model --by role"),
        ("stats", "stats", "stats ./my-model ./other-model"),
        ("spectrum", "spectrum", "spectrum ./my-model --by role"),
        ("census", "census", "census ./my-model"),
        ("tour", "tour", "tour llama"),
        ("check", "check", "check ./my-model"),
    ),
    "Compare": (
        ("diff", "diff", "diff ./my-model ./other-model --top 5,20"),
        ("same", "same", "same ./my-model ./my-model"),
        ("series", "series", "series ./my-run"),
        ("norms", "norms", "norms 8030261248 1073358.0 16.658565739582745"),
    ),
    "Behaviour": (
        ("score", "score", "score ./my-llm --text text.txt"),
        ("eval", "eval", "eval ./my-llm --task my-task.toml"),
        ("corrupt", "corrupt", "corrupt ./my-llm --text text.txt --share 0,0.5,1"),
        ("trends", "trends", "trends ./my-llm-run --text text.txt"),
        ("generate", "generate", 'generate ./my-llm --prompt "The quick brown" --max-tokens 8'),
        ("decode", "decode", 'decode ./my-llm ./other-llm --prompt "The quick brown" --max-tokens 4'),
        ("context", "context", "context ./my-llm --text text.txt --windows 2 --passkeys 0"),
        ("quantise", "quantise", "quantise ./my-llm --report --text text.txt --windows 2"),
        ("probe", "probe", "probe ./my-llm"),
        ("pass-at-k", "pass_at_k", "pass-at-k samples.jsonl --problems HumanEval.jsonl.gz"),
    ),
    "Scores": (
        ("table", "table", "table llama-zero-shot"),
        ("pca", "pca", "pca open-models"),
        ("law", "law:law", "law open-models training-tokens --target MMLU"),
        ("forecast", "law:forecast", "forecast open-models training-tokens --target MMLU --flops 5e24"),
        ("select", "select", "select open-models --budget 2"),
        ("correlate", "correlate:correlate", "correlate first-digits:MAE first-digits:score"),
        ("measures", "correlate:measures", "measures"),
        ("trajectories", "trajectories", "trajectories ./my-llm-run --task my-task.toml --text text.txt"),
        ("study", "study:commands", "study list"),
    ),
    "Make": (
        ("merge", "merge", "merge ./my-model ./other-model ./third-model --method ties --out ./merged"),
        ("rescale", "rescale", "rescale ./my-llm --towards law --out ./rescaled"),
        ("unpack", "unpack", "unpack ./my-model --out ./unpacked"),
        ("train", "train", "train my-recipe.toml --out ./runs"),
        ("runs", "train:runs", "runs"),
        ("nursery", "nursery", "nursery ./nursery"),
    ),
    "Keep": (
        ("store", "store:commands", "store ls"),
        ("sql", "sql", 'sql "SELECT role, sum(n) FROM models GROUP BY role"'),
        ("doctor", "doctor", "doctor"),
    ),
}
"""Every command: its name, the chapter whose `command` (or what follows the colon) runs it, an example for its help."""
