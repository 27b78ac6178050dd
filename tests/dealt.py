"""Commands whose work is dealt out to shards, and what their parts come to."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from kaibo.store import Store

Ask = Callable[..., dict[str, Any]]
"""A command line in, its document out; see the fixture `ask`."""


def merged(into: Path, *stores: Path) -> dict[str, bytes]:
    """Every file of stores brought together."""
    Store(into).merge([Store(one) for one in stores])
    return {str(path.relative_to(into)): path.read_bytes() for path in sorted(into.rglob("*")) if path.is_file()}


def timeless(document: Any) -> Any:
    """A document without the seconds that it took."""
    if isinstance(document, dict):
        return {name: timeless(value) for name, value in document.items() if name != "seconds"}
    return [timeless(one) for one in document] if isinstance(document, list) else document


def dealt(ask: Ask, asked: Sequence[str], n: int, folder: Path, seed: int = 0) -> Path:
    """A command's shards in stores of their own, in any order, brought together; nothing but parts is told."""
    fresh = (folder / f"dealt-{number}" for number in count())
    stores = []
    for index in random.Random(seed).sample(range(n), n):
        stores.append(next(one for one in fresh if not one.exists()))
        told = ask(*asked, "--shard", f"{index}/{n}", "--store", stores[-1])
        assert all((row["shard"], row["shards"]) == (index, n) for row in told["results"])
        assert "store merge" in told["warnings"][-1]
    together = next(one for one in fresh if not one.exists())
    ask("store", "merge", *(one for one in stores if one.exists()), "--into", together)
    return together
