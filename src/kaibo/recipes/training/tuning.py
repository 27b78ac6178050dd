"""Fine-tuning by TRL's trainers (sft, dpo): a recipe and a base in, an adapter or a whole model on disk out."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kaibo.errors import FormatError, KaiboError, PolicyError, StoppedError, UsageError
from kaibo.recipes.rows.data import Rows
from kaibo.recipes.runs.account import CHECKPOINTS, storing
from kaibo.recipes.runs.workshop import Base, Workshop
from kaibo.recipes.settings.schema import Recipe

if TYPE_CHECKING:
    from kaibo.recipes.runs.watching import Watch
    from kaibo.recipes.training.arguments import Job


@dataclass(frozen=True)
class Trained:
    """What training left: the loss curve, steps, wall time, and what became of rows that were too long."""

    watch: Watch
    steps: int
    seconds: float
    notes: tuple[str, ...]


def tune(recipe: Recipe, rows: Rows, base: Base, shop: Workshop) -> Trained:
    """Trains and saves; checkpoints of a run that was cut short are taken up.

    Raises what `run` says of training.
    """
    from transformers import set_seed

    from kaibo.recipes.loading import load_base, load_tokenizer, precision_of
    from kaibo.recipes.runs.adapters import save_whole
    from kaibo.recipes.runs.watching import Watch, last_checkpoint
    from kaibo.recipes.training.arguments import Job, total_steps

    folder, precision = shop.out / recipe.name, precision_of(recipe)
    set_seed(recipe.seed)
    tokenizer = load_tokenizer(base.folder)
    _speaks(rows, tokenizer, base)
    watch = Watch(recipe.name, shop.watcher, shop.asked)
    checkpoints = folder / CHECKPOINTS
    started = time.monotonic()
    with _failures(recipe, folder):
        model = load_base(base.folder, precision, recipe.adapter)
        trainer = _trainer(Job(recipe, rows, model, tokenizer, precision, checkpoints, (watch,)))
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


def _trainer(job: Job) -> Any:
    from transformers import PrinterCallback

    from kaibo.recipes.training.dpo import dpo_trainer
    from kaibo.recipes.training.sft import sft_trainer

    trainer = dpo_trainer(job) if job.recipe.kind == "dpo" else sft_trainer(job)
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
