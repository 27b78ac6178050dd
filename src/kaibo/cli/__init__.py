"""The command line: parse, call the verb, print. One file per command, listed here in the order of `kaibo --help`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["main", "main_loop"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs `kaibo` with these arguments (default: the process's own) and exits with its code."""
    sys.exit(main_loop(list(sys.argv[1:] if arguments is None else arguments)))


def main_loop(arguments: list[str]) -> int:
    """Runs one command line and returns its exit code."""
    from kaibo.cli.main import main_loop as run

    return run(arguments)
