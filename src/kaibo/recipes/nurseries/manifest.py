"""`nursery.json`: what a nursery holds, for studies and for people. Paths are relative to its folder.

Version 1:

    {"version": 1, "preset", "seed", "python", "threads", "notice", "tokenizer",
     "texts": [{"name", "path", "bytes", "documents", "languages", "generated", "sha256"}],
     "members": [Member …], "samples": [{"run", "step", "prompt", "text"}], "seconds": {phase: seconds},
     "probes": [{"run", … ProbeRow}]  (of a few children: do they still answer?)
     "ablation": [AblationRow …]}     (of the preset ablation, whose models are no LLaMAs and no members)

A `Member` is one model that can be opened: each checkpoint of a pre-training run, each fine-tune, the adapter.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kaibo.errors import FormatError, MissingError
from kaibo.recipes.nurseries.nursery_plan import Planned
from kaibo.recipes.runs.account import read_account
from kaibo.recipes.runs.writing import read_object

MANIFEST = "nursery.json"
VERSION = 1

NOTICE = (
    "Learned from the documentation of the running Python and from generated text: "
    "the people and events in it do not exist."
)


@dataclass(frozen=True)
class Member:
    """One model of a nursery.

    `kind` is pretrain, sft or dpo; `place` is family, variant, continuation, child or adapter. `run` is its run, and
    `parent` the member it was made from (None: random weights). `size` counts weights (of an adapter its base's);
    `step` and `tokens` are those of its own run; `seed`, `data`, `optimiser`, `learning_rate` are of its recipe.
    `path` is its folder in float32 (the adapter's own), `bfloat16` the same weights rounded, `last` whether it is the
    end of its run, `loss` the nats per token at its step (dpo: the loss of a pair).
    """

    name: str
    kind: str
    place: str
    run: str
    parent: str | None
    size: int
    step: int
    tokens: int | None
    seed: int
    data: str
    optimiser: str
    learning_rate: float
    path: str
    bfloat16: str | None
    last: bool
    loss: float | None


def members(runs: Sequence[Planned], folder: Path) -> list[Member]:
    """Every member of the runs that are finished in `folder`, in the order in which they are made."""
    out: dict[str, Member] = {}
    for run in runs:
        account = read_account(folder / run.recipe.name)
        if account is None:
            continue
        parent = _parent(run, out)
        found = _checkpoints(run, account, parent) if run.recipe.kind == "pretrain" else _tuned(run, account, parent)
        out |= {member.name: member for member in found}
    return list(out.values())


def _parent(run: Planned, known: Mapping[str, Member]) -> Member | None:
    """The last member of the run that this one stands on."""
    name = run.recipe.base.removeprefix("run:")
    return next((member for member in known.values() if member.run == name and member.last), None)


def _checkpoints(run: Planned, account: Mapping[str, Any], parent: Member | None) -> Iterator[Member]:
    result, recipe = account["result"], run.recipe
    losses = {point["step"]: point for point in account["curve"]}
    for step in result["checkpoints"]:
        yield Member(
            name=f"{recipe.name}/step-{step}",
            kind=recipe.kind,
            place=run.place,
            run=recipe.name,
            parent=parent.name if parent else None,
            size=result["parameters"],
            step=step,
            tokens=result["tokens"] * step // result["steps"],
            seed=recipe.seed,
            data=run.data,
            optimiser=recipe.training.optimiser,
            learning_rate=recipe.training.learning_rate,
            path=f"{recipe.name}/float32/step-{step}",
            bfloat16=f"{recipe.name}/bfloat16/step-{step}",
            last=step == result["steps"],
            loss=losses[step]["loss"] if step in losses else None,
        )


def _tuned(run: Planned, account: Mapping[str, Any], parent: Member | None) -> Iterator[Member]:
    result, recipe = account["result"], run.recipe
    yield Member(
        name=recipe.name,
        kind=recipe.kind,
        place=run.place,
        run=recipe.name,
        parent=parent.name if parent else None,
        size=parent.size if parent else 0,
        step=result["steps"],
        tokens=result["tokens"],
        seed=recipe.seed,
        data=run.data,
        optimiser=recipe.training.optimiser,
        learning_rate=recipe.training.learning_rate,
        path=f"{recipe.name}/{result['model']}",
        bfloat16=None,
        last=True,
        loss=result["loss_last"],
    )


def manifest(
    head: Mapping[str, Any], found: Iterable[Member], said: Iterable[Any], seconds: Mapping[str, float]
) -> dict[str, Any]:
    """The content of `nursery.json`; `head` holds preset, seed, python, threads, tokenizer and texts."""
    return {
        "version": VERSION,
        "notice": NOTICE,
        **head,
        "members": [dataclasses.asdict(member) for member in found],
        "samples": [dataclasses.asdict(sample) for sample in said],
        "seconds": dict(seconds),
    }


def read_manifest(folder: Path) -> dict[str, Any]:
    """The `nursery.json` of a folder. Raises MissingError where there is none, FormatError for another version."""
    found = read_object(folder / MANIFEST)
    if found is None:
        raise MissingError("holds no nursery.json", file=folder, next="kaibo nursery DIR makes one")
    if found.get("version") != VERSION:
        message = f"has version {found.get('version')!r}; this kaibo reads {VERSION}"
        raise FormatError(message, file=folder / MANIFEST, next="make the nursery again")
    return found
