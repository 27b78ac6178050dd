"""From the process's arguments to its exit code; nothing else leaves here."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from typing import Any

from kaibo.cli.application import application
from kaibo.desk.answering import READER_GONE, Answer, forget_stdout, interrupted, say
from kaibo.desk.sharing import COMMAND_LINE
from kaibo.errors import KaiboError, StorageError, UsageError
from kaibo.vocabulary.terminals import guarded_stderr

FAULT = 70
"""The exit code for a fault of kaibo's own: none of the codes that say what a user can do about it."""

COMPLETING = "_KAIBO_COMPLETE"
"""Set by a shell that asks for completions, which names no command."""


def main_loop(arguments: list[str]) -> int:
    """Runs one command line and returns its exit code; nothing but exit codes leaves here."""
    debug = "--debug" in arguments
    arguments = [argument for argument in arguments if argument != "--debug"]
    COMMAND_LINE.set(tuple(arguments))
    _spell_what_cannot_be_encoded()
    with guarded_stderr():
        return _exit_code(arguments, debug)


def _exit_code(arguments: list[str], debug: bool) -> int:
    try:
        code = _run(arguments) if arguments or COMPLETING in os.environ else _welcome()
        if sys.stdout is not None:
            sys.stdout.flush()
    except SystemExit as done:
        code = done.code if isinstance(done.code, int) else 1
    except KeyboardInterrupt:
        say(sys.stderr, f"kaibo: {interrupted().line}")
        code = 130
    except BrokenPipeError:
        forget_stdout()
        code = READER_GONE
    except OSError as error:
        forget_stdout()
        problem = StorageError(f"the answer cannot be written ({error.strerror or type(error).__name__})")
        say(sys.stderr, f"kaibo: {problem.line}")
        code = problem.exit
    except Exception as error:
        if debug:
            raise
        fault = KaiboError(f"{type(error).__name__}: {error} (a fault of kaibo's)", next="--debug shows where")
        fault.exit = FAULT
        _say_problem(fault, arguments)
        code = FAULT
    return code


WELCOME = """kaibo takes open language models apart: what they are made of, counted exactly.

    kaibo dissect ./my-model        a summary here, and a page to keep
    kaibo --help                    all commands
    kaibo COMMAND --help            one of them, with an example

A model is a folder, a .safetensors file, or an address such as hf:org/name."""
"""What `kaibo` alone says."""


def _welcome() -> int:
    say(sys.stdout, WELCOME)
    return 0


def _run(arguments: list[str]) -> int:
    try:
        outcome = application(arguments[0] if arguments else None)(
            args=arguments, prog_name="kaibo", standalone_mode=False
        )
    except Exception as error:
        # The parser's own errors know their exit code; which click they come from is typer's business.
        if not hasattr(error, "format_message"):
            raise
        _usage(error, arguments)
        return 2
    return outcome if isinstance(outcome, int) else 0


def _usage(error: Any, arguments: Sequence[str]) -> None:
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError" and context is not None:  # its message is the whole help
        commands = ", ".join(context.command.list_commands(context))
        problem = UsageError(f"{context.info_name}: name what to do: {commands}")
        _say_problem(problem, arguments)
        return
    message = " ".join(error.format_message().split()).replace("Value error, ", "").rstrip(".")
    _say_problem(UsageError(message, next="kaibo --help lists what there is"), arguments)


def _say_problem(problem: KaiboError, arguments: Sequence[str]) -> None:
    """One line on stderr and, with --json, the one document, for what went wrong outside any command."""
    if "--json" in arguments:
        command = next((argument for argument in arguments if not argument.startswith("-")), "")
        say(sys.stdout, json.dumps(Answer(command, True, errors=[problem]).document()))
    say(sys.stderr, f"kaibo: {problem.line}")


def _spell_what_cannot_be_encoded() -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
