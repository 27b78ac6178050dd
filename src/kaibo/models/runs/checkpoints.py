"""The checkpoints of a run: found in a folder or given one by one, with the step that each name says, in order."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from kaibo.documents.json_text import json_value
from kaibo.documents.reading import opened, read_bytes
from kaibo.errors import KaiboError, MissingError, UsageError
from kaibo.models.formats.shards import SHARD

_ENDS = r"(?![0-9]|[.,e][0-9]|_[0-9]{3}(?![0-9])|[bt](?![a-z0-9]))"  # the 1 of 1.5, 1,000, 1_000, 1e4, 1B is no step
_NUMBER = rf"[-_=]?([0-9]{{1,18}}(?:\.[0-9]{{1,9}}(?=[km](?![a-z0-9])))?){_ENDS}([km](?![a-z0-9]))?"
_STEP = re.compile(f"(?:steps?|checkpoint){_NUMBER}", re.IGNORECASE)
_ELSE = re.compile(rf"(?<![a-z])(?:ckpt|iter|iteration|ep[0-9]{{1,9}}-ba){_NUMBER}", re.IGNORECASE)
_BEFORE = re.compile(r"([0-9]{1,18})\.step", re.IGNORECASE)
_EPOCH = re.compile(rf"(?<![a-z])epoch[-_=]?([0-9]{{1,18}}){_ENDS}", re.IGNORECASE)
_BARE = re.compile(r"([0-9]{1,18})")
_TIMES = {"": 1, "k": 1_000, "m": 1_000_000}
_FILES = (".safetensors", ".bin", ".pt", ".pth", ".ckpt")
_WEIGHTS = (*_FILES, ".safetensors.index.json", ".gguf", ".distcp")
_OTHERS = ("training_args.bin", "optimizer.", "scheduler.", "rng_state", "adapter_", "scaler.")
ITSELF = "the folder itself"
LAST = (ITSELF, "main")
"""Names of what stands at the end of a series, without a step."""

STATE = "trainer_state.json"
STATE_LIMIT = 100_000_000


@dataclass(frozen=True)
class Checkpoint:
    """A model at one training step: its address, what to call it, and the step (None where its name says none).

    `saved_step` is the step that the trainer's own record inside the folder states, None where there is none. `unit` is
    what `step` counts: steps, or epochs where the names of a whole series say nothing else.
    """

    address: str
    name: str
    step: int | None
    saved_step: int | None = None
    unit: str = "step"


def step_of(name: str) -> int | None:
    """The last integer after `step` or `checkpoint` in a folder's name or a revision, else after `iter` or `ckpt`.

    Between the word and the number stands `-`, `_`, `=` or nothing; `k` and `M` behind it are thousands and millions.

    >>> step_of("checkpoint-500"), step_of("global_step1000"), step_of("stage2-step_7"), step_of("main")
    (500, 1000, 7, None)
    >>> step_of("epoch=3-step=1000"), step_of("iter_0000100"), step_of("step-50k-105b"), step_of("ep1-ba20")
    (1000, 100, 50000, 20)
    """
    found = _STEP.findall(name) or _ELSE.findall(name)
    if found:
        number, times = found[-1]
        whole = Decimal(number) * _TIMES[times.lower()]
        return int(whole) if whole == int(whole) else None
    alone = _BEFORE.fullmatch(name)
    return int(alone[1]) if alone else None


def _counted(found: list[Checkpoint]) -> list[Checkpoint]:
    """The checkpoints by the epochs or the bare numbers that all of their names say, where none says a step.

    `main`, and the folder's own weights, say neither and are left as they are.
    """
    if any(one.step is not None for one in found):
        return found
    for unit, match in (("epoch", _EPOCH.search), ("step", _BARE.fullmatch)):
        numbers = [None if one.name in LAST else match(one.name) for one in found]
        if all(number or one.name in LAST for number, one in zip(numbers, found, strict=True)) and any(numbers):
            return [
                one if number is None else replace(one, step=int(number[1]), unit=unit)
                for one, number in zip(found, numbers, strict=True)
            ]
    return found


def checkpoints_of(addresses: Sequence[str], steps: Sequence[int | None] | None = None) -> tuple[Checkpoint, ...]:
    """The checkpoints, sorted by step; those without a step (`main`, the weights of the folder itself) come last.

    One address must be a folder that holds checkpoints: folders or files with a step in their name, folders with
    weights, weights of its own, or the snapshots of a Hugging Face cache. `steps` go to the addresses as given, or
    to what the folder holds in the order of the names. Raises MissingError where there are fewer than two,
    UsageError where `steps` are not as many.
    """
    found = list(_in_folder(addresses[0])) if len(addresses) == 1 else [checkpoint_at(address) for address in addresses]
    if len(found) < 2:
        place = addresses[0] if addresses else None
        message = f"holds {len(found) or 'no'} checkpoint{'s' if len(found) != 1 else ''}; a series has at least two"
        raise MissingError(message, file=place, next="name a folder of checkpoint folders, or several models")
    if steps is not None:
        if len(steps) != len(found):
            raise UsageError(f"--steps names {len(steps)} steps for {len(found)} checkpoints")
        found = [replace(one, step=step) for one, step in zip(found, steps, strict=True)]
    else:
        found = _counted(found)
    return tuple(sorted(found, key=lambda one: (one.step is None, one.step or 0)))


def checkpoint_at(address: str) -> Checkpoint:
    """One model with the step that its folder's name or its revision says."""
    if address.startswith("hf:"):
        revision = address.partition("@")[2]
        return Checkpoint(address, revision or "main", step_of(revision))
    base = os.path.basename(os.path.normpath(address))
    step = step_of(base)
    if step is None and os.path.isfile(address):
        step = step_of(os.path.basename(os.path.dirname(os.path.abspath(address))))
    return Checkpoint(address, base, step, _saved_step(address))


def _in_folder(folder: str) -> Iterator[Checkpoint]:
    if folder.startswith("hf:") or not os.path.isdir(folder):
        yield checkpoint_at(folder)
        return
    try:
        names = sorted(os.listdir(folder), key=_natural)
    except OSError as problem:
        raise MissingError("the folder cannot be listed", file=folder) from problem
    if "snapshots" in names and "refs" in names:
        yield from _cached(folder)
        return
    for name in names:
        path = os.path.join(folder, name)
        if _is_checkpoint(path, name):
            yield Checkpoint(path, name, step_of(name), _saved_step(path))
    if any(_is_weights(name) and step_of(name) is None for name in names if os.path.isfile(os.path.join(folder, name))):
        yield Checkpoint(folder, ITSELF, None, _saved_step(folder))


def _natural(name: str) -> list[tuple[bool, int, str]]:
    parts = enumerate(re.split(r"([0-9]+)", name))  # every second one is a number
    return [(at % 2 == 1, int(part[:999]) if at % 2 else 0, part) for at, part in parts]


def _is_checkpoint(path: str, name: str) -> bool:
    if name.startswith("."):
        return False
    if os.path.isdir(path):
        try:
            return step_of(name) is not None or any(map(_is_weights, os.listdir(path)))
        except OSError:
            return True  # a checkpoint that cannot be read is one, too
    return step_of(name) is not None and _is_weights(name) and name.endswith(_FILES) and not SHARD.fullmatch(name)


def _is_weights(name: str) -> bool:
    return name.endswith(_WEIGHTS) and not name.startswith(_OTHERS)


def _cached(folder: str) -> Iterator[Checkpoint]:
    """The snapshots of a cache folder under the names of the branches that lead to them."""
    named: dict[str, list[str]] = {}
    refs = os.path.join(folder, "refs")
    for root, _, files in os.walk(refs):
        for file in sorted(files, key=_natural):
            path = os.path.join(root, file)
            with opened(path) as ref:
                revision = ref.read(256).decode("ascii", "replace").strip()
            named.setdefault(revision, []).append(os.path.relpath(path, refs))
    for revision in sorted(os.listdir(os.path.join(folder, "snapshots")), key=_natural):
        for name in named.get(revision, [revision]):
            yield Checkpoint(os.path.join(folder, "snapshots", revision), name, step_of(name))


def _saved_step(folder: str) -> int | None:
    """`global_step` of the trainer's record beside the weights; None where there is none that can be read."""
    path = os.path.join(folder, STATE)
    try:
        found = json_value(read_bytes(path, STATE_LIMIT), path, [])
    except KaiboError:
        return None
    step = found.get("global_step") if isinstance(found, dict) else None
    return step if isinstance(step, int) and not isinstance(step, bool) else None
