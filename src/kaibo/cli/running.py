"""How every command runs: answers on stdout, one line per error on stderr, an exit code that says what happened."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from kaibo.errors import KaiboError, escaped
from kaibo.version import __version__


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
        say(sys.stdout, json.dumps(answer.document(), ensure_ascii=True, allow_nan=False))
    elif answer.show is not None and sys.stdout is not None:
        _show(answer.show)
    if sys.stdout is not None:
        sys.stdout.flush()  # here, where a full disk or a reader that is gone can still be answered for
    for warning in answer.warnings:
        say(sys.stderr, f"kaibo: note: {escaped(warning, 4000)}")
    for error in answer.errors:
        say(sys.stderr, f"kaibo: {error.line}")
    raise SystemExit(answer.exit if answer.exit is not None and not answer.errors else _code(answer.errors))


def _show(show: Callable[[], None]) -> None:
    try:
        show()
    except SystemExit as done:  # rich's answer to a reader that is gone; main_loop has its own
        raise BrokenPipeError from done


def _code(errors: Sequence[KaiboError]) -> int:
    from kaibo.verbs.addresses import exit_code

    return exit_code(errors) if errors else 0


def say(stream: Any, text: str) -> None:
    """A line to a stream that may be closed."""
    if stream is not None:
        stream.write(text + "\n")
