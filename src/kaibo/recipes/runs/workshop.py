"""Where runs are made, and what each starts from: a model at an address, or another run of the same workshop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kaibo.errors import MissingError
from kaibo.recipes.runs.account import read_account
from kaibo.recipes.settings.expansion import RUN
from kaibo.recipes.settings.schema import Recipe

if TYPE_CHECKING:
    from kaibo.recipes.runs.watching import Watcher


@dataclass(frozen=True)
class Workshop:
    """Where runs are made: their folder, who tells a model's content, who watches, and whether to stop."""

    out: Path
    identify: Callable[[str], str]
    watcher: Watcher
    asked: Callable[[], bool] = lambda: False
    force: bool = False


@dataclass(frozen=True)
class Base:
    """What a run starts from: its address and folder, its content, and for a chain its parent and the base below."""

    address: str
    folder: Path
    model_id: str
    parent: str | None
    origin: str


def base_of(recipe: Recipe, shop: Workshop) -> Base:
    """The base of a run; for `run:NAME` the parent with its adapter merged into the base below it."""
    from kaibo.recipes.loading import base_folder

    if not recipe.base.startswith(RUN):
        folder = base_folder(recipe.base)
        return Base(recipe.base, folder, shop.identify(recipe.base), None, recipe.base)
    name = recipe.base.removeprefix(RUN)
    place = shop.out / name
    account = read_account(place)
    if account is None:
        raise MissingError(f"run {recipe.name} stands on run {name}, which is not in {shop.out}", next="make it first")
    whole = _whole(account, place)
    if account["recipe"]["kind"] == "pretrain":  # a model of its own, and the base of what follows
        return Base(str(whole), whole, shop.identify(str(whole)), None, str(whole))
    return Base(recipe.base, whole, shop.identify(str(whole)), name, account["base"]["origin"])


def _whole(account: dict[str, Any], place: Path) -> Path:
    """A finished run as a model of its own; merged now where it was not yet."""
    from kaibo.recipes.loading import base_folder, hushed
    from kaibo.recipes.runs.adapters import merge, merge_dtype

    if not (place / "adapter").is_dir():
        return place / str(account["result"]["model"])
    if not (place / "merged").is_dir():
        below = account["base"]["folder"] if account["base"]["parent"] else account["base"]["address"]
        base = base_folder(below)
        with hushed():
            merge(
                base, place / "adapter", place / "merged", merge_dtype(account["recipe"]["save"]["merge_dtype"], base)
            )
    return place / "merged"
