"""A family of small models made on this machine, with variants and children: something to take apart.

DIR/nursery.json   what is here (see `manifest`)
DIR/data/          the texts; DIR/tokenizer/ the tokenizer trained on them
DIR/RUN/           one folder a run, as `kaibo train` leaves it

Runs that are there with the same inputs are kept; one that was cut short is taken up where it was.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kaibo.errors import UsageError
from kaibo.models.descriptions import NOTICE
from kaibo.recipes.making import make
from kaibo.recipes.nurseries.manifest import MANIFEST, VERSION, Member, manifest, members
from kaibo.recipes.nurseries.manifest import NOTICE as TEXT
from kaibo.recipes.nurseries.nursery_plan import Planned, planned
from kaibo.recipes.nurseries.nursery_texts import prepare
from kaibo.recipes.probes.samples import Sample, samples
from kaibo.recipes.runs.account import RunRow, read_account, row_of, write_json
from kaibo.recipes.runs.workshop import Workshop
from kaibo.recipes.runs.writing import read_object, write_whole
from kaibo.recipes.settings.presets import PRESETS, Preset
from kaibo.recipes.training.pretraining import threads
from kaibo.vocabulary.findings import plain

PHASES = {"family": "pre-training", "variant": "variants", "continuation": "variants"}
"""What each place of a nursery is counted under in `seconds`; all else is `children`."""


@dataclass
class Clock:
    """Seconds by phase, this time and the times before; what was found made costs nothing."""

    seconds: dict[str, float]

    def __call__(self, phase: str, work: Callable[[], Any]) -> Any:
        """Does the work and counts its time under a phase."""
        started = time.monotonic()
        done = work()
        if not (isinstance(done, RunRow) and done.how == "known"):
            self.seconds[phase] = self.seconds.get(phase, 0.0) + time.monotonic() - started
        return done


def _clock(preset: Preset, folder: Path) -> Clock:
    """A clock that goes on from the manifest of a nursery that was stopped or is only looked at again."""
    found = read_object(folder / MANIFEST) or {}
    same = found.get("preset") == preset.name and found.get("version") == VERSION
    return Clock(dict(found["seconds"]) if same else {})


def preset_named(name: str) -> Preset:
    """The preset of a name. Raises UsageError for one that is none, and where it needs a GPU that is not here."""
    if name not in PRESETS:
        known = ", ".join(known for known in PRESETS if known != "micro")
        raise UsageError(f'no nursery is called "{name}"', next=f"presets: {known}")
    preset = PRESETS[name]
    if preset.device == "cuda":
        import torch

        if not torch.cuda.is_available():
            raise UsageError(
                f'the preset "{name}" wants a CUDA device', next="choose --preset small, or a machine with one"
            )
    return preset


def nursery(preset: Preset, shop: Workshop) -> Iterator[RunRow]:
    """Makes the runs of a preset in order, each handed over once it is finished; then writes `nursery.json`.

    The manifest is written anew after every phase, so that what is finished can be used. Raises what runs raise:
    FormatError for a loss that is no number, StorageError for a full disk, StoppedError when asked to stop.
    """
    if preset.ablation:
        yield from _ablated(preset, shop)
        return
    clock = _clock(preset, shop.out)
    texts = clock("texts", lambda: prepare(preset, shop.out))
    runs = planned(preset, shop.out)
    head = _head(preset, texts)
    for place, one in enumerate(runs):
        with threads(preset.threads):  # of children too: their weights do not hang on how many cores are here
            row = clock(PHASES.get(one.place, "children"), lambda one=one: make(one.recipe, shop))  # type: ignore[misc]
        yield row
        if place + 1 == len(runs) or runs[place + 1].place != one.place:
            said = first_and_last(runs, shop.out) if place + 1 == len(runs) else []
            made = members(runs, shop.out)
            content = manifest(head, made, said, clock.seconds)
            tell(made, shop.out)
            write_json(shop.out / MANIFEST, {**content, "probes": probes(runs, shop.out)})


def tell(made: Sequence[Member], folder: Path) -> None:
    """Puts the notice into the folder of every member, so that whoever opens one alone is told, too."""
    for member in made:
        for path in (member.path, member.bfloat16):
            if path is not None and not (folder / path / NOTICE).exists():
                write_whole(folder / path / NOTICE, (TEXT + "\n").encode())


def _head(preset: Preset, texts: Mapping[str, Any]) -> dict[str, Any]:
    """What `nursery.json` says before its members."""
    return {
        "preset": preset.name,
        "seed": preset.seed,
        "python": texts["python"],
        "threads": preset.threads,
        "tokenizer": "tokenizer",
        "texts": texts["texts"],
    }


def _ablated(preset: Preset, shop: Workshop) -> Iterator[RunRow]:
    """The runs of the ablation; its table is written into `nursery.json` as `ablation`."""
    from kaibo.recipes.nurseries.ablation import exchanges, table

    clock = _clock(preset, shop.out)
    texts = clock("texts", lambda: prepare(preset, shop.out))
    base = planned(preset, shop.out)[0]
    accounts: list[dict[str, Any]] = []
    made = exchanges(base, shop)
    while (account := clock("ablation", lambda: next(made, None))) is not None:
        accounts.append(account)
        yield row_of(account, shop.out / account["recipe"]["name"], "made")
    content = manifest(_head(preset, texts), [], [], clock.seconds)
    rows = [plain(row) for row in table(accounts)]
    write_json(shop.out / MANIFEST, {**content, "ablation": rows})


def probes(runs: Sequence[Planned], folder: Path) -> list[dict[str, Any]]:
    """Whether children still answer: the rows of those that were asked, a run and a language each."""
    accounts = [(one.recipe.name, read_account(folder / one.recipe.name)) for one in runs]
    asked = [(name, account["probe"]) for name, account in accounts if account is not None and account["probe"]]
    return [{"run": name, **row} for name, probe in asked for row in probe["rows"]]


def first_and_last(runs: Sequence[Planned], folder: Path) -> list[Sample]:
    """What the first and the last checkpoint of every size of the family write."""
    said: list[Sample] = []
    for one in runs:
        account = read_account(folder / one.recipe.name) if one.place == "family" else None
        if account is not None:
            steps = account["result"]["checkpoints"]
            name = one.recipe.name
            for step in (steps[0], steps[-1]):
                said += samples(folder / name / "float32" / f"step-{step}", name, step)
    return said
