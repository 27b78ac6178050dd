"""`kaibo train` and `kaibo runs`: recipes become models, each with an account of how it was made."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kaibo.chapters.train.rows import RUNS, StoredRun
from kaibo.collect import Options, Stopping, TrainingBar, granted_workers, take_census
from kaibo.desk.addresses import Address, OnError, raising
from kaibo.desk.measuring import Settings, open_store
from kaibo.errors import KaiboError, MissingError
from kaibo.models import open_model
from kaibo.recipes.plans.planning import PlanRow
from kaibo.recipes.runs.account import RunRow, read_account, row_of
from kaibo.recipes.settings.expansion import RUN, read_recipes
from kaibo.recipes.settings.schema import Recipe
from kaibo.store import Store
from kaibo.version import __version__
from kaibo.vocabulary import Finding
from kaibo.vocabulary.kinds import Kind

if TYPE_CHECKING:
    from kaibo.recipes.plans.planning import PlanRow


TRAIN = Kind(
    "train",
    RunRow,
    __package__,
    columns=(
        "run",
        "kind",
        "base",
        "method",
        "data",
        "steps",
        "loss_first",
        "loss_last",
        "seconds",
        "how",
        "out",
    ),
)
PLAN = Kind(
    "train --plan",
    PlanRow,
    __package__,
    columns=(
        "run",
        "method",
        "device",
        "length",
        "weights",
        "adapter",
        "gradients",
        "optimiser",
        "activations",
        "logits",
        "total",
        "memory",
        "fits",
        "seconds",
        "advice",
    ),
)


OUT = "kaibo-runs"
"""The folder of runs where none is named."""


@dataclass(frozen=True)
class TrainOptions:
    """What a recipe is run with.

    `out` is the folder of the runs; `base` stands in for the recipe's, `data` gives files to its named sets, `set`
    overrides settings by their dotted names; `force` replaces runs of the same name that had other inputs.
    """

    out: str | os.PathLike[str] = OUT
    base: str | None = None
    data: Mapping[str, str] = field(default_factory=dict)
    set: Mapping[str, Any] = field(default_factory=dict)
    force: bool = False


def recipes(recipe: Address, options: TrainOptions | None = None) -> list[Recipe]:
    """The runs that a recipe becomes, parents first. Raises UsageError for what is wrong in it."""
    options = options or TrainOptions()
    overrides = dict(options.set) | ({} if options.base is None else {"base": options.base})
    return read_recipes(recipe, overrides, options.data)


def train(
    recipe: Address,
    options: TrainOptions | None = None,
    *,
    settings: Settings | None = None,
    bar: TrainingBar | None = None,
    on_error: OnError | None = None,
) -> Finding[RunRow]:
    """Every run of a recipe: made, taken up where it was cut short, or found made.

    A run that fails is handed to `on_error` and those that stand on it are left out; the others go on. Raises
    UsageError, before anything is loaded, for a recipe that is wrong.
    """
    from kaibo.recipes.making import make
    from kaibo.recipes.runs.workshop import Workshop

    options, settings, report = options or TrainOptions(), settings or Settings(), on_error or raising
    runs = recipes(recipe, options)
    store = open_store(settings.store)
    rows: list[RunRow] = []
    failed: set[str] = set()
    with Stopping() as stopping:
        shop = Workshop(
            Path(options.out),
            lambda address: identity(address, store, settings),
            bar or TrainingBar(False),
            lambda: stopping.signal is not None,
            options.force,
        )
        for one in runs:
            stopping.check()
            parent = one.base.removeprefix(RUN) if one.base.startswith(RUN) else None
            try:
                if parent in failed:
                    raise MissingError(f"run {one.name} stands on run {parent}, which failed", next="mend that first")
                row = make(one, shop)
            except KaiboError as error:
                if error.kind in ("storage", "stopped"):
                    raise
                failed.add(one.name)
                report(error)
                continue
            store.record_runs([row])
            rows.append(row)
    return Finding(TRAIN, tuple(rows), (), {"kaibo": __version__, "recipe": os.fspath(recipe)})


def identity(address: str, store: Store, settings: Settings) -> str:
    """The model_id of an address; its census is in the store afterwards. Raises what reading it raises."""
    collected = take_census(open_model(address), store, Options(workers=granted_workers(settings.workers)))
    if collected.failures:
        raise collected.failures[0]
    return collected.model_id


def runs(
    folders: Iterable[Address] = (), *, settings: Settings | None = None, on_error: OnError | None = None
) -> Finding[StoredRun]:
    """The runs that the store knows, and those in the folders given, by name."""
    store = open_store((settings or Settings()).store)
    found = {(row["fingerprint"], row["out"]): row for row in store.runs()}
    for folder in folders:
        for account in sorted(Path(folder).glob("*/run.json")):
            try:
                row = row_of(read_account(account.parent) or {}, account.parent, "known")
            except KaiboError as error:
                (on_error or raising)(error)
                continue
            found[(row.fingerprint, row.out)] = vars(row)
    names = [name for name in StoredRun.__dataclass_fields__ if name != "there"]
    rows = [
        StoredRun(**{name: row[name] for name in names}, there=(Path(row["out"]).parent / "run.json").is_file())
        for row in sorted(found.values(), key=lambda row: (row["run"], row["out"]))
    ]
    return Finding(RUNS, tuple(rows), store.warnings, {"kaibo": __version__})


def plan(recipe: Address, options: TrainOptions | None = None, *, memory: int | None = None) -> Finding[PlanRow]:
    """What each run of a recipe will take, before anything is loaded; `memory` in bytes stands for another device."""
    from kaibo.recipes.plans.planning import plan_runs

    rows = plan_runs(recipes(recipe, options), memory)
    return Finding(PLAN, rows, (), {"kaibo": __version__, "recipe": os.fspath(recipe)})
