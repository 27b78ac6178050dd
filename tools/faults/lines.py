"""What is tried: every command of the command line's own list, every place of it that takes a value, every input.

The line of a command is its example in `kaibo --help`; each file or word that stands in it is a place, and so is each
further option that takes a value. A command that is listed tomorrow is tried tomorrow.
"""

from __future__ import annotations

import random
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import typer

from inputs import FILES, NUMBERS, WORDS
from kaibo.cli.application import PANELS, application

INSIDE = {
    "store": {
        "ls": "store ls",
        "verify": "store verify",
        "compact": "store compact",
        "merge": "store merge ./a-store ./b-store --into ./both",
        "rm": "store rm my-model",
    },
    "study": {"list": "study list", "run": "study run anatomy --small --out ./pages"},
}
"""Lines of the commands inside a group; the example of the group in the help is one of them."""

HEAVY = ("nursery",)
"""Commands whose example takes minutes: only what refuses before it begins is tried on them."""


@dataclass(frozen=True)
class Case:
    """One run: the command, the place in its line, the input that stands there, and its class."""

    command: str
    place: str
    input: str
    kind: str
    line: tuple[str, ...]
    at: int

    @property
    def key(self) -> str:
        """The name under which its result is kept."""
        return f"{self.command} | {self.place} | {self.input}"


def commands() -> Iterator[tuple[str, Any, tuple[str, ...]]]:
    """Every command: its name, its parser, a line that runs."""
    parser = typer.main.get_command(application())
    for name, _, example in (one for members in PANELS.values() for one in members):
        found = parser.commands[name]  # type: ignore[attr-defined]
        if not hasattr(found, "commands"):
            yield name, found, tuple(shlex.split(example))
            continue
        for inner, command in found.commands.items():
            yield f"{name} {inner}", command, tuple(shlex.split(INSIDE[name][inner]))


def places(name: str, parser: Any, line: tuple[str, ...]) -> Iterator[tuple[str, str, tuple[str, ...], int]]:
    """Every place of a command's line that takes a value: its name, what it takes, the line, where it stands."""
    options = {spelled: one for one in parser.params for spelled in getattr(one, "opts", ())}
    positional = iter([one for one in parser.params if one.param_type_name == "argument"])
    argument, seen = None, set()
    for at in range(len(name.split()), len(line)):
        before = options.get(line[at - 1])
        if line[at] in options:
            seen.add(options[line[at]].name)
        elif before is not None and not getattr(before, "is_flag", False):
            yield line[at - 1], takes(before), line, at
        else:
            argument = argument if argument is not None and argument.nargs == -1 else next(positional, argument)
            if argument is not None and argument.name not in seen:
                seen.add(argument.name)
                yield argument.name, takes(argument), line, at
    for one in positional:
        yield one.name, takes(one), (*line, "?"), len(line)
    for one in parser.params:
        if one.param_type_name == "option" and one.name not in seen and not getattr(one, "is_flag", False):
            yield one.opts[0], takes(one), (*line, one.opts[0], "?"), len(line) + 1


def takes(parameter: Any) -> str:
    """What a parameter takes: a number, one of a list, a file or any text."""
    name = type(parameter.type).__name__
    return "number" if "Int" in name or "Float" in name else "choice" if "Choice" in name else "text"


def cases(seed: int = 0) -> list[Case]:
    """All of them: first what stands in the examples, then further options; each in an order that the seed gives."""
    found: tuple[list[Case], list[Case]] = ([], [])
    for name, parser, line in commands():
        for place, kind, whole, at in places(name, parser, line):
            if name in HEAVY and place != "--preset":
                continue
            into = found[len(whole) > len(line)]
            files = FILES.items() if kind == "text" else ()
            words = (
                WORDS if kind == "text" else {text[:20]: text for text in NUMBERS} if kind == "number" else {"x": ""}
            )
            into.extend(Case(name, place, called, which, whole, at) for called, (which, _) in files)
            into.extend(Case(name, place, f"word: {called}", "C", whole, at) for called in words)
    for some in found:
        random.Random(seed).shuffle(some)
    return [*found[0], *found[1]]
