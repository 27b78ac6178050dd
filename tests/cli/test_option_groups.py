"""Options that commands take together: unfolded for the parser, folded again for the command."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Annotated

import typer
from typer.testing import CliRunner

from kaibo.desk.groups import grouped

Name = Annotated[str, typer.Option("--name", help="What to call it.")]
Loud = Annotated[bool, typer.Option("--loud", help="Say it in capitals.")]
Times = Annotated[int, typer.Option("--times", help="How often.")]
What = Annotated[str, typer.Argument(metavar="WHAT")]


@dataclass(frozen=True)
class Voice:
    """How something is said."""

    name: Name = "nobody"
    loud: Loud = False


@grouped
def say(what: What, *, voice: Voice, times: Times = 1) -> None:
    """Says it."""
    text = f"{voice.name}: {what}"
    typer.echo("\n".join([text.upper() if voice.loud else text] * times))


def run(*arguments: str) -> str:
    application = typer.Typer()
    application.command()(say)
    result = CliRunner().invoke(application, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_a_group_stands_where_its_parameter_stands() -> None:
    assert list(inspect.signature(say).parameters) == ["what", "name", "loud", "times"]
    assert (say.__name__, say.__doc__) == ("say", "Says it.")


def test_the_fields_of_a_group_are_options_with_its_defaults() -> None:
    assert run("hello") == "nobody: hello\n"
    assert run("hello", "--name", "Ann", "--loud", "--times", "2") == "ANN: HELLO\n" * 2


def test_a_call_never_keeps_what_the_last_one_was_given() -> None:
    run("hello", "--loud")
    assert run("hello") == "nobody: hello\n"
