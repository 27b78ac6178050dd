"""One run, from its recipe to its `run.json`: what is there is not repeated, what was begun is taken up."""

from __future__ import annotations

import dataclasses
import gc
import shutil
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kaibo.errors import FormatError, KaiboError, MissingError, PolicyError, StoppedError, StorageError, UsageError
from kaibo.recipes.account import (
    ACCOUNT,
    CHECKPOINTS,
    STATE,
    RunRow,
    fingerprint,
    read_account,
    read_state,
    row_of,
    storing,
    versions,
    write_json,
)
from kaibo.recipes.data import Rows, read_rows
from kaibo.recipes.expansion import RUN
from kaibo.recipes.schema import Recipe
from kaibo.vocabulary import plain

if TYPE_CHECKING:
    from kaibo.recipes.watching import Watch, Watcher


LARGE = 20
"""A base is planned for before it is loaded where the device has less than so many times its stored bytes."""


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


@dataclass(frozen=True)
class Trained:
    """What training left: the loss curve, steps, wall time, and what became of rows that were too long."""

    watch: Watch
    steps: int
    seconds: float
    notes: tuple[str, ...]


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
        how = "resumed" if begun_run(folder, identity, shop.force) else "trained"
        write_json(folder / STATE, {"fingerprint": identity, "recipe": recipe.record()})
        trained = _trained(recipe, rows, base, folder, shop)
        account = _account(recipe, rows, base, identity, trained)
        account["result"]["model"] = _merged(recipe, base, folder)
        account["deltas"] = _deltas(base, folder)
    for note in trained.notes:
        warnings.warn(f"{recipe.name}: {note}", stacklevel=2)
    account["probe"] = _probe(recipe, base, folder)
    write_json(folder / ACCOUNT, account)
    (folder / STATE).unlink(missing_ok=True)
    shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)
    return row_of(account, folder, how)


def _must_fit(recipe: Recipe, base: Base) -> None:
    """Raises UsageError, before anything is loaded, for a large base that the device has no room to train."""
    from kaibo.recipes.loading import device_of
    from kaibo.recipes.planning import available, plan_runs

    stored = sum(file.stat().st_size for file in base.folder.glob("*.safetensors"))
    there = available(device_of(recipe.device))
    if there is None or stored * LARGE < there:
        return
    (planned,) = plan_runs([dataclasses.replace(recipe, base=str(base.folder))])
    if planned.refusal is not None:
        raise planned.refusal


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
    from kaibo.recipes.adapters import merge, merge_dtype
    from kaibo.recipes.loading import base_folder, hushed

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


def known_run(folder: Path, identity: str, force: bool) -> dict[str, Any] | None:
    """The account of a run that is finished with the same inputs. Raises StorageError for one with others."""
    account = read_account(folder)
    if account is None:
        return None
    if account["fingerprint"] == identity:
        return account
    if not force:
        raise _other(folder, account)
    (folder / ACCOUNT).unlink()
    return None


def begun_run(folder: Path, identity: str, force: bool) -> bool:
    """Whether a run with these inputs was begun here; one with other inputs is cleared away where that is allowed."""
    state = read_state(folder)
    if state is not None and state["fingerprint"] == identity:
        return True
    if state is not None and not force:
        raise _other(folder, state)
    if state is None and folder.is_dir() and any(folder.iterdir()) and not force:
        raise StorageError("holds files that no run of kaibo left", file=folder, next="choose another --out")
    for name in (CHECKPOINTS, "adapter", "model", "merged") if state is not None or force else ():
        shutil.rmtree(folder / name, ignore_errors=True)
    return False


def _other(folder: Path, found: dict[str, Any]) -> StorageError:
    message = f"holds a run with other inputs ({found['fingerprint']})"
    return StorageError(message, file=folder, next="name the run otherwise, choose another --out, or pass --force")


def _trained(recipe: Recipe, rows: Rows, base: Base, folder: Path, shop: Workshop) -> Trained:
    """Trains and saves; checkpoints of a run that was cut short are taken up."""
    from transformers import set_seed

    from kaibo.recipes.adapters import save_whole
    from kaibo.recipes.arguments import total_steps
    from kaibo.recipes.loading import load_base, load_tokenizer, precision_of
    from kaibo.recipes.watching import Watch, last_checkpoint

    precision = precision_of(recipe)
    set_seed(recipe.seed)
    tokenizer = load_tokenizer(base.folder)
    _speaks(rows, tokenizer, base)
    watch = Watch(recipe.name, shop.watcher, shop.asked)
    checkpoints = folder / CHECKPOINTS
    started = time.monotonic()
    with _failures(recipe, folder):
        model = load_base(base.folder, precision, recipe.adapter)
        trainer = _trainer(recipe, rows, (model, tokenizer, precision), checkpoints, watch)
        notes = _left_out(rows, trainer, recipe)
        steps = total_steps(recipe, len(trainer.train_dataset))
        resume = last_checkpoint(checkpoints, before=steps)  # taken up at its last step, a trainer does one more
        trainer.train(resume_from_checkpoint=str(resume) if resume else None)
    if watch.stopped:
        raise StoppedError(
            f"{recipe.name}: stopped after step {trainer.state.global_step}", next="run it again to go on"
        )
    seconds = time.monotonic() - started
    whole = recipe.adapter.method == "full"
    if not whole:
        _name_base(trainer.model, base)
    save_whole(trainer.model, tokenizer, folder / ("model" if whole else "adapter"))
    steps = int(trainer.state.global_step)
    del trainer, model
    gc.collect()
    return Trained(watch, steps, seconds, notes)


def _trainer(recipe: Recipe, rows: Rows, parts: tuple[Any, Any, Any], checkpoints: Path, watch: Watch) -> Any:
    from transformers import PrinterCallback

    from kaibo.recipes.arguments import Job
    from kaibo.recipes.dpo import dpo_trainer
    from kaibo.recipes.sft import sft_trainer

    model, tokenizer, precision = parts
    job = Job(recipe, rows, model, tokenizer, precision, checkpoints, (watch,))
    trainer = dpo_trainer(job) if recipe.kind == "dpo" else sft_trainer(job)
    trainer.remove_callback(PrinterCallback)
    return trainer


def _speaks(rows: Rows, tokenizer: Any, base: Base) -> None:
    """Raises FormatError for conversations where the base has no template to write them with."""
    conversational = isinstance(rows.rows[0].get("prompt"), list)
    if conversational and tokenizer.chat_template is None:
        message = "has no chat template, and the data are messages"
        raise FormatError(message, file=base.address, next="write the rows as prompt and completion in plain text")


def _left_out(rows: Rows, trainer: Any, recipe: Recipe) -> tuple[str, ...]:
    """What the trainer did to rows that are too long, counted: it drops some in silence."""
    length = recipe.training.max_length
    kept = trainer.train_dataset
    if len(kept) == 0:
        message = f"no answer begins within {length} tokens"
        raise FormatError(message, file=recipe.data.files[0], next="raise training.max_length")
    gone = len(rows.rows) - len(kept)
    if "input_ids" in kept.column_names:
        cut = sum(len(ids) >= length for ids in kept["input_ids"])
    else:
        answers = zip(kept["prompt_ids"], kept["chosen_ids"], kept["rejected_ids"], strict=True)
        cut = sum(len(prompt) + max(len(one), len(other)) > length for prompt, one, other in answers)
    left = (f"{gone:,} rows are left out: their prompt alone fills {length} tokens",) if gone else ()
    return (*left, *((f"{cut:,} rows are cut at {length} tokens",) if cut else ()))


def _name_base(model: Any, base: Base) -> None:
    """The adapter says what it belongs on by its address, not by a path in some cache."""
    named = base.address.removeprefix("hf:").partition("@")[0] if base.address.startswith("hf:") else str(base.folder)
    for settings in model.peft_config.values():
        settings.base_model_name_or_path = named


@contextmanager
def _failures(recipe: Recipe, folder: Path) -> Iterator[None]:
    """What the training libraries raise, as errors of ours; what was finished is kept."""
    import jinja2
    import torch

    try:
        with storing(folder / CHECKPOINTS):
            yield
    except KaiboError:
        raise
    except jinja2.exceptions.SecurityError as problem:
        raise PolicyError(f"its chat template reaches for Python ({problem})", file=recipe.base) from problem
    except jinja2.exceptions.TemplateError as problem:
        raise FormatError(f"its chat template fails ({problem})", file=recipe.base) from problem
    except (MemoryError, torch.OutOfMemoryError) as problem:
        message = f"{recipe.name}: out of memory"
        raise UsageError(message, next="kaibo train --plan says what takes it and what to set") from problem
    except ValueError as problem:
        said = " ".join(str(problem).split())[:300]
        raise UsageError(f"{recipe.name}: the trainer refuses this recipe ({said})") from problem


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
    from kaibo.recipes.adapters import merge, merge_dtype

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
    from kaibo.recipes.deltas import delta
    from kaibo.recipes.loading import base_folder

    adapter = folder / "adapter" if (folder / "adapter").is_dir() else None
    tuned = base.folder if adapter else folder / "model"
    found = [delta("parent" if base.parent else "base", base.address, base.folder, tuned, adapter)]
    if base.parent:
        found.append(delta("base", base.origin, base_folder(base.origin), tuned, adapter))
    return [dataclasses.asdict(one) for one in found]


def _probe(recipe: Recipe, base: Base, folder: Path) -> dict[str, Any] | None:
    """Whether the new model still answers: counts and answers; None where the recipe asks for none."""
    from kaibo.recipes.probing import probe, prompts_for

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
