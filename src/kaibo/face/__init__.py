"""The public names, each with the module that holds it; loaded when first used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

Homes = Mapping[str, tuple[str, ...]]


def loader(space: str, homes: Homes) -> Callable[[str], Any]:
    """The `__getattr__` of a module whose names lie in other modules. It raises AttributeError for any other name."""
    home = {name: place for place, names in homes.items() for name in names}

    def find(name: str) -> Any:
        if name not in home:
            raise AttributeError(f"{space} has no {name!r}")
        return getattr(import_module(home[name]), name)

    return find


def names(homes: Homes) -> list[str]:
    """The names in order."""
    return sorted(name for held in homes.values() for name in held)
