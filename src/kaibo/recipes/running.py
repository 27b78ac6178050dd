"""One run of kind sft or dpo, from its recipe to its `run.json`: what is there is not repeated."""

from __future__ import annotations

import dataclasses
import warnings
from pathlib import Path
from typing import Any

from kaibo.recipes.rows.data import Rows, read_rows
from kaibo.recipes.runs.account import ACCOUNT, RunRow, fingerprint, row_of, versions, write_json
from kaibo.recipes.runs.lifecycle import begin_run, finish_run, known_run
from kaibo.recipes.runs.workshop import Base, Workshop, base_of
from kaibo.recipes.settings.schema import Recipe
from kaibo.recipes.training.tuning import Trained, tune
from kaibo.vocabulary import plain

LARGE = 20
"""A base is planned for before it is loaded where the device has less than so many times its stored bytes."""


def run(recipe: Recipe, shop: Workshop) -> RunRow:
    """Makes one run of kind sft or dpo, or finds it made.

    Raises UsageError for settings that do not go together, FormatError for data, bases and losses that are no good,
    StorageError for a full disk or a folder that holds another run, StoppedError when asked to stop.
    """
    from kaibo.recipes.loading import hushed, require_training

    require_training()
    folder = shop.out / recipe.name
    rows = read_rows(recipe.data, recipe.kind)
    for note in rows.notes:
        warnings.warn(f"{recipe.name}: {note}", stacklevel=2)
    base = base_of(recipe, shop)
    identity = fingerprint(recipe, base.model_id, rows.sha256)
    with hushed():
        known = known_run(folder, identity, shop.force)
        if known is not None:
            return row_of(_merged_too(known, recipe, base, folder), folder, "known")
        _must_fit(recipe, base)
        how = begin_run(folder, recipe, identity, shop.force)
        trained = tune(recipe, rows, base, shop)
        account = _account(recipe, rows, base, identity, trained)
        account["result"]["model"] = _merged(recipe, base, folder)
        account["deltas"] = _deltas(base, folder)
    for note in trained.notes:
        warnings.warn(f"{recipe.name}: {note}", stacklevel=2)
    account["probe"] = _probe(recipe, base, folder)
    finish_run(folder, account)
    return row_of(account, folder, how)


def _must_fit(recipe: Recipe, base: Base) -> None:
    """Raises UsageError, before anything is loaded, for a large base that the device has no room to train."""
    from kaibo.recipes.loading import device_of
    from kaibo.recipes.plans.planning import available, plan_runs

    stored = sum(file.stat().st_size for file in base.folder.glob("*.safetensors"))
    there = available(device_of(recipe.device))
    if there is None or stored * LARGE < there:
        return
    (planned,) = plan_runs([dataclasses.replace(recipe, base=str(base.folder))])
    if planned.refusal is not None:
        raise planned.refusal


def _account(recipe: Recipe, rows: Rows, base: Base, identity: str, trained: Trained) -> dict[str, Any]:
    import torch

    points = trained.watch.points
    every = recipe.training.log_every
    curve = [point for point in points if point.step % every == 0 or point in (points[0], points[-1])]
    return {
        "fingerprint": identity,
        "recipe": recipe.record(),
        "versions": versions(),
        "threads": torch.get_num_threads(),
        "base": {
            "address": base.address,
            "folder": str(base.folder),
            "model_id": base.model_id,
            "parent": base.parent,
            "origin": base.origin,
        },
        "data": {
            "name": " + ".join(Path(file).name for file in recipe.data.files),
            "sha256": rows.sha256,
            "rows": len(rows.rows),
            "bad": [dataclasses.asdict(row) for row in rows.bad],
            "unpaired": [dataclasses.asdict(row) for row in rows.unpaired],
            "notes": list(trained.notes),
        },
        "result": {
            "steps": trained.steps,
            "loss_first": points[0].loss if points else None,
            "loss_last": points[-1].loss if points else None,
            "tokens": points[-1].tokens if points else None,
            "seconds": trained.seconds,
        },
        "curve": [dataclasses.asdict(point) for point in curve],
    }


def _merged(recipe: Recipe, base: Base, folder: Path) -> str:
    """Merges where that was asked for; the name of the folder that holds the run's model."""
    from kaibo.recipes.runs.adapters import merge, merge_dtype

    if recipe.adapter.method == "full":
        return "model"
    if not recipe.save.merged:
        return "adapter"
    merge(base.folder, folder / "adapter", folder / "merged", merge_dtype(recipe.save.merge_dtype, base.folder))
    return "merged"


def _merged_too(account: dict[str, Any], recipe: Recipe, base: Base, folder: Path) -> dict[str, Any]:
    """A finished run of which the merged model is asked for only now."""
    if recipe.save.merged and recipe.adapter.method != "full" and not (folder / "merged").is_dir():
        _merged(recipe, base, folder)
    if recipe.save.merged and account["result"]["model"] == "adapter":
        account["result"]["model"] = "merged"
        write_json(folder / ACCOUNT, account)
    return account


def _deltas(base: Base, folder: Path) -> list[dict[str, Any]]:
    from kaibo.recipes.loading import base_folder
    from kaibo.recipes.runs.deltas import delta

    adapter = folder / "adapter" if (folder / "adapter").is_dir() else None
    tuned = base.folder if adapter else folder / "model"
    found = [delta("parent" if base.parent else "base", base.address, base.folder, tuned, adapter)]
    if base.parent:
        found.append(delta("base", base.origin, base_folder(base.origin), tuned, adapter))
    return [dataclasses.asdict(one) for one in found]


def _probe(recipe: Recipe, base: Base, folder: Path) -> dict[str, Any] | None:
    """Whether the new model still answers: counts and answers; None where the recipe asks for none."""
    from kaibo.recipes.probes.probing import probe, prompts_for

    if not recipe.probe.run:
        return None
    made = folder / ("adapter" if (folder / "adapter").is_dir() else "model")
    prompts = prompts_for(recipe.probe.prompts, recipe.probe.language)
    rows, replies = probe(
        str(made), prompts, max_tokens=recipe.probe.max_tokens, device=recipe.device, base=str(base.folder)
    )
    for row in rows:
        if not row.answers:
            what = f"no longer answers in {row.asked}: {', '.join(row.faults)}"
            warnings.warn(f"{recipe.name} {what} (kaibo probe shows more)", stacklevel=2)
    answers = [{"prompt": one.prompt, "answer": one.text, "stopped": one.stopped} for one in replies]
    return {"rows": [plain(row) for row in rows], "answers": answers}
