"""What happens while a run trains: the loss curve is kept, progress is shown, and a loss that is no number ends it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from transformers import TrainerCallback

from kaibo.documents.json_text import read_json
from kaibo.errors import FormatError, KaiboError

MARK = "kaibo-complete.json"
"""The last file of a checkpoint; one without it was cut short and is not resumed from."""


class Watcher(Protocol):
    """Told how a run goes: `begin` once, `step` after each optimiser step."""

    def begin(self, run: str, steps: int) -> None:
        """A run of so many optimiser steps begins."""
        ...

    def step(self, step: int, tokens: int, loss: float) -> None:
        """So many steps are done, over so many tokens since training began; the loss of the last one."""
        ...


class _Unwatched:
    def begin(self, run: str, steps: int) -> None:
        """Nothing is shown."""

    def step(self, step: int, tokens: int, loss: float) -> None:
        """Nothing is shown."""


unwatched: Watcher = _Unwatched()


class LossError(FormatError):
    """The loss became NaN or infinite."""

    kind = "loss"


@dataclass(frozen=True)
class Point:
    """One point of a loss curve: the optimiser step, the loss in nats, the learning rate, tokens seen so far."""

    step: int
    loss: float
    learning_rate: float | None
    tokens: int | None


class Watch(TrainerCallback):  # type: ignore[misc] # transformers' way of being told
    """The callback of a run. `points` is the loss curve; `asked` tells after every step whether to stop there."""

    def __init__(self, run: str, watcher: Watcher, asked: Callable[[], bool]) -> None:
        self.run = run
        self.watcher = watcher
        self.asked = asked
        self.points: list[Point] = []
        self.stopped = False

    def on_train_begin(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        """Takes up the curve where a resumed run left it."""
        self.points = [point for entry in state.log_history if (point := _point(entry)) is not None]
        self.watcher.begin(self.run, state.max_steps)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **others: Any) -> None:
        """Adds a point; raises LossError where the loss, or the gradient behind it, is no number."""
        entry = {**(logs or {}), "step": state.global_step}
        point = _point(entry)
        if point is None:
            return
        for name, what in (("loss", "loss"), ("grad_norm", "norm of the gradient")):
            if not math.isfinite(float(entry.get(name, 0.0))):
                raise self._broken(what, entry[name], state, Path(args.output_dir))
        self.points.append(point)
        self.watcher.step(point.step, point.tokens or 0, point.loss)

    def _broken(self, what: str, value: float, state: Any, checkpoints: Path) -> LossError:
        """The weights after the step before already gave what is no number, so a checkpoint of them is no good one."""
        for place in checkpoints.glob("checkpoint-*"):
            if int(place.name.rpartition("-")[2]) >= state.global_step - 1:
                (place / MARK).unlink(missing_ok=True)
        kept = last_checkpoint(checkpoints)
        advice = f"{kept} is the last good checkpoint" if kept else "no checkpoint was written before it"
        message = f"the {what} is {value} at step {state.global_step} of {state.max_steps}"
        return LossError(message, file=self.run, next=f"{advice}; lower training.learning_rate or raise the precision")

    def on_step_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        """Where somebody wants the run to stop, this step is saved and is the last."""
        if self.asked():
            self.stopped = True
            control.should_save = control.should_training_stop = True

    def on_save(self, args: Any, state: Any, control: Any, **others: Any) -> None:
        """Marks the checkpoint as complete, after all its files are written."""
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        sizes = {file.name: file.stat().st_size for file in sorted(folder.iterdir()) if file.name != MARK}
        (folder / MARK).write_text(json.dumps({"step": state.global_step, "files": sizes}), encoding="utf-8")


def _point(entry: dict[str, Any]) -> Point | None:
    if "loss" not in entry:
        return None
    tokens, rate = entry.get("num_tokens"), entry.get("learning_rate")
    return Point(
        int(entry["step"]),
        float(entry["loss"]),
        None if rate is None else float(rate),
        None if tokens is None else int(tokens),
    )


def last_checkpoint(folder: Path, before: int | None = None) -> Path | None:
    """The newest checkpoint that is complete: marked, and every file as long as it was when it was marked.

    With `before`, the newest of an earlier step.
    """
    found = []
    for place in folder.glob("checkpoint-*"):
        step = place.name.removeprefix("checkpoint-")
        if step.isdigit() and (before is None or int(step) < before) and _complete(place):
            found.append((int(step), place))
    return max(found)[1] if found else None


def _complete(place: Path) -> bool:
    try:
        files = read_json(place / MARK)["files"]
        return all((place / name).stat().st_size == size for name, size in files.items())
    except (OSError, KaiboError, KeyError, TypeError, AttributeError):
        return False
