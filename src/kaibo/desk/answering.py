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

from kaibo.errors import KaiboError, StoppedError, escaped
from kaibo.version import __version__

READER_GONE = 141
"""The exit code where nobody reads stdout any more, as a shell gives it for SIGPIPE."""


@dataclass
class Answer:
    """What a command has to say: results for `--json`, a function that shows them, what went wrong."""

    command: str
    json: bool = False
    results: list[dict[str, Any]] = field(default_factory=list)
    lists: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    show: Callable[[], None] | None = None
    errors: list[KaiboError] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    exit: int | None = None

    def also(self, show: Callable[[], None]) -> None:
        """Shows something more after what there is."""
        before = self.show

        def both() -> None:
            if before is not None:
                before()
            show()

        self.show = both

    def document(self) -> dict[str, Any]:
        """The one JSON document of the command."""
        return {
            "command": self.command,
            "version": __version__,
            "results": self.results,
            **self.lists,
            "errors": [error.as_json() for error in self.errors],
            "warnings": self.warnings,
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
    except KeyboardInterrupt:
        answer.errors.append(interrupted())
    answer.warnings += [str(warning.message) for warning in caught if warning.category is UserWarning]
    finish(answer)


def interrupted() -> StoppedError:
    """What an interrupt is answered with where nothing waited for it."""
    return StoppedError("stopped; what was finished is kept", next="run the same command again to go on")


def finish(answer: Answer) -> None:
    """Prints the answer and raises SystemExit with its code."""
    try:
        _print(answer)
    except BrokenPipeError:  # caught here: the parser would make it exit 1
        forget_stdout()
        raise SystemExit(READER_GONE) from None
    for warning in answer.warnings:
        say(sys.stderr, f"kaibo: note: {escaped(warning, 4000)}")
    for error in answer.errors:
        say(sys.stderr, f"kaibo: {error.line}")
    raise SystemExit(answer.exit if answer.exit is not None and not answer.errors else _code(answer.errors))


def _print(answer: Answer) -> None:
    if answer.json:
        say(sys.stdout, json.dumps(answer.document(), ensure_ascii=True, allow_nan=False))
    elif answer.show is not None and sys.stdout is not None:
        _show(answer.show)
    if sys.stdout is not None:
        sys.stdout.flush()  # here, where a full disk or a reader that is gone can still be answered for


def forget_stdout() -> None:
    """Nothing more may be written to stdout, not even by the interpreter at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())


def _show(show: Callable[[], None]) -> None:
    try:
        show()
    except SystemExit as done:  # rich's answer to a reader that is gone; main_loop has its own
        raise BrokenPipeError from done


def _code(errors: Sequence[KaiboError]) -> int:
    from kaibo.desk.addresses import exit_code

    return exit_code(errors) if errors else 0


def say(stream: Any, text: str) -> None:
    """A line to a stream that may be closed."""
    if stream is not None:
        stream.write(text + "\n")
