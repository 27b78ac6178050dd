"""The state of a pre-training run between two steps, in one file: weights, optimiser, loss curve.

A safetensors file, so that nothing in it can run; written beside its place, synced and renamed, so that it is whole
or not there. Taken up from it a run ends with the same bytes as one that was never stopped.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from kaibo.recipes.runs.account import storing
from kaibo.recipes.runs.writing import synced

STATE_FILE = "state.safetensors"


@dataclass(frozen=True)
class LossPoint:
    """One point of a loss curve: the step (from 1), the loss in nats per token, the learning rate, tokens read."""

    step: int
    loss: float
    learning_rate: float
    tokens: int


@dataclass(frozen=True)
class Reached:
    """Where a run stands: steps done, its loss curve so far, seconds spent."""

    step: int
    curve: tuple[LossPoint, ...]
    seconds: float


def save_state(folder: Path, model: torch.nn.Module, optimiser: torch.optim.Optimizer, reached: Reached) -> None:
    """Writes the state, in the place of an older one. Raises StorageError where the disk is full or forbidden."""
    from safetensors.torch import save_file

    tensors = {f"model.{name}": weight.detach().cpu().contiguous() for name, weight in model.named_parameters()}
    for place, values in optimiser.state_dict()["state"].items():
        for name, value in values.items():
            if value is not None:
                kept = value if isinstance(value, torch.Tensor) else torch.tensor(value, dtype=torch.float64)
                tensors[f"optimiser.{place}.{name}"] = kept.detach().cpu().contiguous()
    told = {
        "step": str(reached.step),
        "seconds": str(reached.seconds),
        "curve": json.dumps([[p.step, p.loss, p.learning_rate, p.tokens] for p in reached.curve]),
    }
    temporary = folder / f".{STATE_FILE}.part"
    with storing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            save_file(tensors, temporary, told)
            synced(temporary)
            os.replace(temporary, folder / STATE_FILE)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise


def load_state(folder: Path, model: torch.nn.Module, optimiser: torch.optim.Optimizer) -> Reached | None:
    """Sets weights and optimiser to the saved state and says how far it was; None where there is no whole one."""
    from safetensors import SafetensorError, safe_open

    tensors: dict[str, torch.Tensor] = {}
    try:
        with safe_open(folder / STATE_FILE, "pt") as file:
            told: Mapping[str, str] = file.metadata()
            for name in file.keys():  # noqa: SIM118 - the handle is no dictionary
                tensors[name] = file.get_tensor(name)
    except (OSError, SafetensorError):
        return None
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.copy_(tensors[f"model.{name}"])
    _fill_optimiser(optimiser, tensors)
    return Reached(int(told["step"]), _curve(json.loads(told["curve"])), float(told["seconds"]))


def _fill_optimiser(optimiser: torch.optim.Optimizer, tensors: Mapping[str, torch.Tensor]) -> None:
    state: dict[int, dict[str, Any]] = {}
    for name, value in tensors.items():
        kind, _, rest = name.partition(".")
        if kind == "optimiser":
            place, _, field = rest.partition(".")
            state.setdefault(int(place), {})[field] = value
    if state:
        optimiser.load_state_dict({**optimiser.state_dict(), "state": state})


def _curve(points: Sequence[Sequence[Any]]) -> tuple[LossPoint, ...]:
    return tuple(LossPoint(*point) for point in points)
