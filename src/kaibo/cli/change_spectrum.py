"""`kaibo diff --spectrum`: the ranks of the changes after the norms."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kaibo.cli.running import Answer


def measured_spectrum(answer: Answer, compared: Iterable[Any], settings: Any) -> Any:
    """The spectra of the changes of models that were compared, a list of their own in JSON (`spectra`).

    What was already said to be unreadable is not said again.
    """
    from kaibo.verbs.change_spectrum import spectra_of

    known = {error.line for error in answer.errors}

    def report(error: Any) -> None:
        if error.line not in known:
            answer.errors.append(error)

    found = spectra_of(compared, settings=settings, on_error=report)
    answer.lists["spectra"] = [
        {**record, "said": row.said} for row, record in zip(found.rows, found.records(), strict=True)
    ]
    answer.warnings += found.notes if answer.json and found.rows else ()
    return found
