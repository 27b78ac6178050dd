"""Pre-training: the reference LLaMA from random weights, or from a base and further, in one plain loop.

OUT/NAME/float32/step-12/    a checkpoint as a Hugging Face folder with its tokenizer; bfloat16/step-12/ beside it
OUT/NAME/run.json            written last: where it is, the run is finished
OUT/NAME/checkpoints/        while the run is under way: the state it is taken up from

On the CPU the same recipe, data and number of threads give the same bytes, stopped in between or not.
"""

from __future__ import annotations

import dataclasses
import math
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from kaibo.errors import StoppedError, UsageError
from kaibo.llama import mean_loss, save_llama
from kaibo.recipes.flops import utilisation
from kaibo.recipes.rows.data import Rows, read_rows
from kaibo.recipes.rows.reading import batch, check_length, steps_of, token_stream, tokens_per_step, tokens_wanted
from kaibo.recipes.runs.account import CHECKPOINTS, RunRow, fingerprint, row_of, versions
from kaibo.recipes.runs.lifecycle import begin_run, finish_run, known_run
from kaibo.recipes.runs.resuming import LossPoint, Reached, load_state, save_state
from kaibo.recipes.runs.workshop import Base, Workshop
from kaibo.recipes.settings.schema import Recipe
from kaibo.recipes.training.optimisers import learning_rate, optimiser
from kaibo.recipes.training.origins import Origin, origin_of, roots_of
from kaibo.recipes.training.steps import checkpoint_steps

PRECISIONS = {"float32": None, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class Session:
    """What a loop needs: the recipe and where it is made, the model and its data, how many steps it has."""

    recipe: Recipe
    shop: Workshop
    base: Base
    origin: Origin
    stream: torch.Tensor
    steps: int
    device: torch.device

    @property
    def folder(self) -> Path:
        """The folder of the run."""
        return self.shop.out / self.recipe.name

    @property
    def kept(self) -> tuple[int, ...]:
        """The steps whose weights are kept."""
        keep = self.recipe.pretrain
        return checkpoint_steps(self.steps, keep.log_checkpoints, keep.linear_checkpoints)


def pretrain(recipe: Recipe, shop: Workshop) -> RunRow:
    """Makes one run of kind pretrain, or finds it made.

    Raises UsageError for settings that do not go together, FormatError for data that are no text and for a loss that
    is no number (the checkpoints before it are kept), StorageError for a full disk or a folder that holds another
    run, StoppedError when asked to stop.
    """
    folder = shop.out / recipe.name
    rows = read_rows(recipe.data, recipe.kind)
    _check(recipe, rows)
    for note in rows.notes:
        warnings.warn(f"{recipe.name}: {note}", stacklevel=2)
    with threads(recipe.pretrain.threads):
        base = roots_of(recipe, shop)
        identity = fingerprint(recipe, base.model_id, rows.sha256)
        found = known_run(folder, identity, shop.force)
        if found is not None:
            return row_of(found, folder, "known")
        how = begin_run(folder, recipe, identity, shop.force)
        session = _session(recipe, shop, rows, base)
        reached = _train(session)
        account = _account(session, rows, identity, reached)
    finish_run(folder, account)
    return row_of(account, folder, how)


@contextmanager
def threads(number: int) -> Iterator[None]:
    """So many threads within the block (0: as many as before): sums are formed in the order that their number gives."""
    before = torch.get_num_threads()
    if number:
        torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _check(recipe: Recipe, rows: Rows) -> None:
    if rows.form != "text":
        message = f"{recipe.name}: its rows are {rows.form}, and pre-training reads texts"
        raise UsageError(message, next='give plain text, or JSONL with the field "text"')
    if recipe.precision not in ("auto", *PRECISIONS):
        raise UsageError(f"{recipe.name}: pre-training runs in float32 or bfloat16", next='set precision = "auto"')


def _session(recipe: Recipe, shop: Workshop, rows: Rows, base: Base) -> Session:
    folder = shop.out / recipe.name
    origin = origin_of(recipe, rows, base, folder)
    stream = token_stream(rows, origin.tokenizer, tokens_wanted(recipe), markup=recipe.pretrain.markup)
    check_length(stream, recipe)
    device = _device(recipe)
    origin.model.to(device).train()
    return Session(recipe, shop, base, origin, stream, steps_of(recipe, len(stream)), device)


def _device(recipe: Recipe) -> torch.device:
    if recipe.device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if recipe.device == "cuda" and not torch.cuda.is_available():
        raise UsageError(f"{recipe.name}: no CUDA device is here", next='set device = "cpu"')
    return torch.device(recipe.device)


def _train(session: Session) -> Reached:
    """The loop: from the first step, or from where the run was stopped, to the last."""
    recipe, model = session.recipe, session.origin.model
    update = optimiser(model, recipe.training)
    reached = load_state(session.folder / CHECKPOINTS, model, update) or Reached(0, (), 0.0)
    session.shop.watcher.begin(recipe.name, session.steps)
    every = recipe.training.checkpoint_every or max(1, math.ceil(session.steps / 10))
    curve, started = list(reached.curve), time.monotonic() - reached.seconds
    for step in range(reached.step + 1, session.steps + 1):
        point = _step(session, update, step)
        _finite(session, point.loss, "loss", step)
        curve.append(point)
        session.shop.watcher.step(step, point.tokens, point.loss)
        reached = Reached(step, tuple(curve), time.monotonic() - started)
        if step in session.kept:
            _save(session, step)
        stopped = session.shop.asked() and step < session.steps
        if step < session.steps and (step % every == 0 or stopped):
            save_state(session.folder / CHECKPOINTS, model, update, reached)
        if stopped:
            raise StoppedError(f"{recipe.name}: stopped after step {step}", next="run it again to go on")
    return reached


def _step(session: Session, update: torch.optim.Optimizer, step: int) -> LossPoint:
    """One step: the loss of its batches, their gradient, clipped, and the update."""
    training = session.recipe.training
    rate = learning_rate(step, session.steps, training)
    for group in update.param_groups:
        group["lr"] = rate
    total = 0.0
    for part in range(training.accumulation):
        number = (step - 1) * training.accumulation + part
        ids, targets = batch(session.stream, number, training.batch, training.max_length)
        loss = _loss(session, ids.to(session.device), targets.to(session.device)) / training.accumulation
        loss.backward()  # type: ignore[no-untyped-call]
        total += loss.item()
    norm = torch.nn.utils.clip_grad_norm_(session.origin.model.parameters(), training.clip or math.inf)
    _finite(session, norm.item(), "norm of the gradient", step)
    update.step()
    update.zero_grad(set_to_none=True)
    return LossPoint(step, total, rate, step * tokens_per_step(session.recipe))


def _loss(session: Session, ids: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Mean nats of a batch. In bfloat16 the products are, while weights, norms and the loss stay in float32."""
    model = session.origin.model
    precision = session.recipe.precision
    kind = "bfloat16" if precision == "auto" and session.device.type == "cuda" else precision
    if PRECISIONS.get(kind) is None:
        loss: torch.Tensor = mean_loss(model, ids, targets)
        return loss
    with torch.autocast(session.device.type, torch.bfloat16):
        logits = model.logits(model(ids))
    return torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), targets.flatten())


def _finite(session: Session, value: float, what: str, step: int) -> None:
    if math.isfinite(value):
        return
    from kaibo.recipes.runs.watching import LossError

    good = [kept for kept in session.kept if kept < step]
    advice = f"float32/step-{good[-1]} is the last good checkpoint" if good else "no checkpoint was written before it"
    message = f"the {what} is {value} at step {step} of {session.steps}"
    raise LossError(message, file=session.recipe.name, next=f"{advice}; lower training.learning_rate")


def _save(session: Session, step: int) -> None:
    """Keeps the weights of a step as a model folder in each type that the recipe asks for."""
    files = session.origin.tokenizer_files
    types = ("float32", "bfloat16") if session.recipe.pretrain.keep_float32 else ("bfloat16",)
    for kind in types:
        save_llama(session.origin.model, session.folder / kind / f"step-{step}", dtype=kind, tokenizer_files=files)


def _account(session: Session, rows: Rows, identity: str, reached: Reached) -> dict[str, Any]:
    recipe, origin, base = session.recipe, session.origin, session.base
    first, last = reached.curve[0], reached.curve[-1]
    every = recipe.training.log_every
    kind = "float32" if recipe.pretrain.keep_float32 else "bfloat16"
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
            "unpaired": [],
            "notes": [],
        },
        "result": {
            "model": f"{kind}/step-{session.steps}",
            "parameters": origin.model.config.parameters,
            "steps": session.steps,
            "checkpoints": list(session.kept),
            "loss_first": first.loss,
            "loss_last": last.loss,
            "tokens": last.tokens,
            "seconds": reached.seconds,
            **utilisation(origin.model.config, recipe.training.max_length, last.tokens / reached.seconds),
        },
        "curve": [
            dataclasses.asdict(point)
            for point in reached.curve
            if point.step % every == 0 or point.step in (1, session.steps)
        ],
        "deltas": [],
        "probe": None,
    }
