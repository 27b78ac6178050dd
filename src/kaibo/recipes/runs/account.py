"""The account of a run: what identifies it, its `run.json`, and its place on the disk.

OUT/NAME/adapter/       the adapter, or `model/` where all weights were trained
OUT/NAME/merged/        base and adapter as one model, where that was asked for
OUT/NAME/run.json       written last: where it is, the run is finished
OUT/NAME/state.json     while the run is under way, with checkpoints/ beside it
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kaibo.documents.json_text import read_json
from kaibo.errors import FormatError, StorageError
from kaibo.recipes.settings.schema import Recipe
from kaibo.version import __version__

ACCOUNT, STATE, CHECKPOINTS = "run.json", "state.json", "checkpoints"
PACKAGES = ("torch", "transformers", "trl", "peft", "bitsandbytes", "datasets", "accelerate", "tokenizers")
FREE = ("name", "save", "probe")
"""Settings that do not change the weights of a run."""


@dataclass(frozen=True)
class RunRow:
    """One run that is finished.

    `out` is what it made: the merged model where one was asked for, else the adapter or the model. `loss_first` and
    `loss_last` are nats per token (dpo: per pair) at the first and last step, `tokens` those trained on, `seconds`
    the wall time of training. `how` is `trained`, `resumed` or `known` (it was there already, nothing was repeated).
    """

    run: str
    out: str
    kind: str
    base: str
    method: str
    seed: int
    learning_rate: float
    data: str
    rows: int
    steps: int
    loss_first: float | None
    loss_last: float | None
    tokens: int | None
    seconds: float
    how: str
    fingerprint: str
    why: dict[str, str] = field(default_factory=dict)


def fingerprint(recipe: Recipe, base_id: str, data_sha256: str) -> str:
    """16 hex digits over the recipe's settings that shape weights, the base's content and the data's content."""
    settings = {name: value for name, value in recipe.record().items() if name not in FREE}
    training = {name: value for name, value in settings["training"].items() if name not in ("log_every",)}
    del settings["base"]  # its content counts, not its address; the same for the data
    inputs = {**settings, "training": training, "data": data_sha256, "base": base_id}
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()[:16]


def versions() -> dict[str, str]:
    """The versions that a run depends on."""
    found = {"kaibo": __version__, "python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def read_account(folder: Path) -> dict[str, Any] | None:
    """The `run.json` of a finished run, None where there is none. Raises FormatError for one that is damaged."""
    return _json(folder / ACCOUNT)


def read_state(folder: Path) -> dict[str, Any] | None:
    """What a run that is not finished was begun with."""
    return _json(folder / STATE)


def _json(path: Path) -> dict[str, Any] | None:
    if not path.exists():
        return None
    found = read_json(path, advice="remove the folder")
    if not isinstance(found, dict) or "fingerprint" not in found:
        raise FormatError("is not the account of a run", file=path, next="choose another --out")
    return found


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """A JSON file that is there whole or not at all. Raises StorageError."""
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    temporary = path.with_name(f".{path.name}.part")
    with storing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)


class storing:  # noqa: N801 - reads as a statement
    """Inside the block what a full or forbidden disk raises becomes StorageError, exit 6.

    torch and safetensors tell of a failed write in errors of their own; both name it in their text.
    """

    SIGNS = ("No space left", "os error 28", "os error 27", "File too large", "PytorchStreamWriter", "os error 122")

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, kind: Any, problem: BaseException | None, trace: Any) -> None:
        if problem is None or isinstance(problem, FormatError | StorageError):
            return
        written = isinstance(problem, OSError) and problem.errno is not None
        if not written and not any(sign in str(problem) for sign in self.SIGNS):
            return
        reason = os.strerror(problem.errno) if isinstance(problem, OSError) and problem.errno else "the disk refused it"
        there = next(place for place in (self.path, *self.path.absolute().parents) if place.exists())
        free = shutil.disk_usage(there).free
        raise StorageError(
            f"cannot be written ({reason}; {free:,} bytes free)",
            file=self.path,
            next="make room and run the same command again: finished checkpoints are kept",
        ) from problem


def row_of(account: Mapping[str, Any], folder: Path, how: str) -> RunRow:
    """The row of a finished run."""
    recipe, result = account["recipe"], account["result"]
    reason = "no step was logged"
    return RunRow(
        run=recipe["name"],
        out=str(folder / result["model"]),
        kind=recipe["kind"],
        base=account["base"]["address"],
        method="full" if recipe["kind"] == "pretrain" else recipe["adapter"]["method"],  # it has no adapter
        seed=recipe["seed"],
        learning_rate=recipe["training"]["learning_rate"],
        data=account["data"]["name"],
        rows=account["data"]["rows"],
        steps=result["steps"],
        loss_first=result["loss_first"],
        loss_last=result["loss_last"],
        tokens=result["tokens"],
        seconds=result["seconds"],
        how=how,
        fingerprint=account["fingerprint"],
        why={name: reason for name in ("loss_first", "loss_last", "tokens") if result[name] is None},
    )
