"""`kaibo diff --spectrum`: the ranks of the changes after the norms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kaibo.cli.running import Answer


def present_spectrum(answer: Answer, base: str, tuned: Sequence[str], settings: Any, language: str) -> None:
    """Adds the spectra of the changes: a list of their own in JSON (`spectra`), a last table for people.

    What was already said to be unreadable is not said again.
    """
    from kaibo.reports import show
    from kaibo.verbs.change_spectrum import change_spectrum

    known = {error.line for error in answer.errors}

    def report(error: Any) -> None:
        if error.line not in known:
            answer.errors.append(error)

    found = change_spectrum(base, tuned, settings=settings, on_error=report)
    answer.lists["spectra"] = [
        {**record, "said": row.said} for row, record in zip(found.rows, found.records(), strict=True)
    ]
    answer.warnings += found.notes if answer.json and found.rows else ()
    if found.rows:
        answer.also(lambda: show(found, language=language))
