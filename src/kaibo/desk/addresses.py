"""How verbs take models: one address or several, and what to do with one that cannot be read."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

from kaibo.errors import KaiboError, UnfinishedError

Address = str | os.PathLike[str]
OnError = Callable[[KaiboError], None]


def addresses(models: Address | Iterable[Address]) -> list[str]:
    """One address or several, as text; a model named twice counts once."""
    several = [models] if isinstance(models, str | os.PathLike) else models
    return list(dict.fromkeys(os.fspath(model) for model in several))


def raising(error: KaiboError) -> Any:
    """The default for `on_error`: the first error ends the verb."""
    raise error


def exit_code(errors: Iterable[KaiboError]) -> int:
    """The exit code for the errors of a run: theirs where they agree, else 8 (done with recorded failures)."""
    codes = {error.exit for error in errors}
    return 0 if not codes else codes.pop() if len(codes) == 1 else UnfinishedError.exit
