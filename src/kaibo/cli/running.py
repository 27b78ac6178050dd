"""How every command runs: answers on stdout, one line per error on stderr, an exit code that says what happened."""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from kaibo.errors import KaiboError, StoppedError, UsageError, escaped
from kaibo.vocabulary.version import __version__


@dataclass
class Answer:
    """What a command has to say: results for `--json`, a function that shows them to people, errors and warnings."""

    command: str
    json: bool = False
    results: list[dict[str, Any]] = field(default_factory=list)
    show: Callable[[], None] | None = None
    errors: list[KaiboError] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    exit: int | None = None

    def document(self) -> dict[str, Any]:
        """The one JSON document of the command."""
        lists = {
            "results": self.results,
            "errors": [error.as_json() for error in self.errors],
            "warnings": self.warnings,
        }
        return {
            "command": self.command,
            "version": __version__,
            **{key: value for key, value in lists.items() if value},
        }


@contextmanager
def answering(command: str, *, as_json: bool) -> Iterator[Answer]:
    """The answer that a command fills in; printed when the block ends, whether it ends well or not."""
    answer = Answer(command, as_json)
    caught: list[warnings.WarningMessage] = []
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("ignore")
            warnings.simplefilter("always", UserWarning)
            yield answer
    except KaiboError as error:
        answer.errors.append(error)
    answer.warnings += [str(warning.message) for warning in caught if warning.category is UserWarning]
    finish(answer)


def finish(answer: Answer) -> None:
    """Prints the answer and raises SystemExit with its code."""
    if answer.json:
        _say(sys.stdout, json.dumps(answer.document(), ensure_ascii=True, allow_nan=False))
    elif answer.show is not None and sys.stdout is not None:
        answer.show()
    for warning in answer.warnings:
        _say(sys.stderr, f"kaibo: note: {escaped(warning, 4000)}")
    for error in answer.errors:
        _say(sys.stderr, f"kaibo: {error.line}")
    raise SystemExit(answer.exit if answer.exit is not None and not answer.errors else _code(answer.errors))


def _code(errors: Sequence[KaiboError]) -> int:
    from kaibo.verbs.addresses import exit_code

    return exit_code(errors) if errors else 0


def _say(stream: Any, text: str) -> None:
    if stream is not None:
        stream.write(text + "\n")


def main_loop(arguments: list[str]) -> int:
    """Runs one command line and returns its exit code; nothing but exit codes leaves here."""
    debug = "--debug" in arguments
    arguments = [argument for argument in arguments if argument != "--debug"]
    _spell_what_cannot_be_encoded()
    try:
        code = _run(arguments)
        if sys.stdout is not None:
            sys.stdout.flush()
    except SystemExit as done:
        code = done.code if isinstance(done.code, int) else 1
    except KeyboardInterrupt:
        _say(sys.stderr, f"kaibo: {StoppedError('stopped; what was finished is kept').line}")
        code = 130
    except BrokenPipeError:
        _forget_stdout()
        code = 141
    except Exception as error:
        if debug:
            raise
        _say(
            sys.stderr,
            f"kaibo: {escaped(type(error).__name__)}: {escaped(error, 2000)} (a fault of kaibo's; --debug shows where)",
        )
        code = 70
    return code


def _run(arguments: list[str]) -> int:
    from kaibo.cli.application import application

    try:
        outcome = application(args=arguments, prog_name="kaibo", standalone_mode=False)
    except Exception as error:
        # The parser's own errors know their exit code; which click they come from is typer's business.
        if not hasattr(error, "format_message"):
            raise
        _usage(error, arguments)
        return 2
    return outcome if isinstance(outcome, int) else 0


def _usage(error: Any, arguments: Sequence[str]) -> None:
    problem = UsageError(" ".join(error.format_message().split()), next="kaibo --help lists what there is")
    if "--json" in arguments:
        command = next((argument for argument in arguments if not argument.startswith("-")), "")
        _say(sys.stdout, json.dumps(Answer(command, True, errors=[problem]).document()))
    _say(sys.stderr, f"kaibo: {problem.line}")


def _spell_what_cannot_be_encoded() -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _forget_stdout() -> None:
    """The reader is gone: nothing more may be written, not even by the interpreter at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
