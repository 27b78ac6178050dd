"""Architectures side by side, from configs alone."""

from __future__ import annotations

from collections.abc import Iterable

from kaibo.analyses.side_by_side import CARD, EXTENDED, SideBySide
from kaibo.analyses.side_by_side import side_by_side as views
from kaibo.verbs.addresses import Address, OnError
from kaibo.verbs.inspect import inspect
from kaibo.vocabulary import Architecture, Finding


def side_by_side(
    models: Finding[Architecture] | Address | Iterable[Address], *, card: int = CARD, extended: int = EXTENDED,
    on_error: OnError | None = None,
) -> SideBySide:  # fmt: skip
    """Parameters by role, cache, memory against a card of so many bytes, and reach, for models or what `inspect` gave.

    `extended` is the number of tokens for which the reach says what it takes. Raises what `inspect` raises.
    """
    found = models if isinstance(models, Finding) else inspect(models, on_error=on_error)
    return views(found.rows, card=card, extended=extended)
