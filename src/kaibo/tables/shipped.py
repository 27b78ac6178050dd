"""The tables that ship with the package, by name, with where their numbers are from."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources
from typing import Any


@cache
def sources() -> dict[str, dict[str, Any]]:
    """Every shipped table by name: its `title`, `source` and column `units`."""
    text = resources.files("kaibo.tables.published").joinpath("sources.toml").read_text(encoding="utf-8")
    return dict(tomllib.loads(text)["table"])


def shipped_bytes(name: str) -> bytes:
    """The CSV of a shipped table."""
    return resources.files("kaibo.tables.published").joinpath(f"{name}.csv").read_bytes()


@cache
def test_sizes() -> dict[str, dict[str, Any]]:
    """What is known of the test sets of the shipped tables' benchmarks: `questions`, `source`, whether a `share`."""
    text = resources.files("kaibo.tables.published").joinpath("test-sizes.toml").read_text(encoding="utf-8")
    return {one["name"]: one for one in tomllib.loads(text)["benchmark"]}
