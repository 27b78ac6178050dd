"""`kaibo train --plan`: peak memory by part and time, before anything is loaded, and what would make it fit."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kaibo.errors import KaiboError, UsageError
from kaibo.recipes.loading import device_of, load_tokenizer, require_training
from kaibo.recipes.plans.memory import Parts, Setting, parts, whole_logits
from kaibo.recipes.plans.shapes import Shapes, config_at, kept, shapes_of
from kaibo.recipes.plans.speed import products_per_second
from kaibo.recipes.rows.data import Rows, read_rows
from kaibo.recipes.settings.expansion import RUN
from kaibo.recipes.settings.schema import Recipe
from kaibo.recipes.training.arguments import total_steps


@dataclass(frozen=True)
class PlanRow:
    """What one run will take, in bytes by part (see `memory`), and in seconds.

    `length` is the longest text in tokens, after the cut; `whole_logits` one batch × length × vocabulary tensor in
    float32, which chunks avoid. `memory` is what the device has, `advice` the settings that would make it fit.
    """

    run: str
    kind: str
    base: str
    method: str
    device: str
    parameters: int
    trained: int
    length: int
    tokens: int | None
    weights: int
    adapter: int
    gradients: int
    optimiser: int
    activations: int
    logits: int
    workspace: int
    context: int
    total: int
    whole_logits: int
    memory: int | None
    fits: bool | None
    seconds: float | None
    advice: str | None = None
    why: dict[str, str] = field(default_factory=dict)

    @property
    def refusal(self) -> KaiboError | None:
        """The error of a run that cannot fit, with the setting that would."""
        if self.fits is not False:
            return None
        message = f"{self.run} takes {_gib(self.total)} and the {self.device} has {_gib(self.memory or 0)}"
        return UsageError(f"{message}; most is {self._largest()}", next=self.advice)

    def _largest(self) -> str:
        names = ("weights", "gradients", "optimiser", "activations", "logits")
        name = max(names, key=lambda one: int(getattr(self, one)))
        return f"{name} ({_gib(getattr(self, name))})"


@dataclass(frozen=True)
class Told:
    """What is known of a run's data: rows, the longest in tokens, all tokens; None where they were not read."""

    rows: int | None
    longest: int | None
    tokens: int | None
    why: str = ""


def plan_runs(recipes: Sequence[Recipe], memory: int | None = None) -> tuple[PlanRow, ...]:
    """A row a run; `memory` in bytes stands for a device that is not here (then `auto` means cuda)."""
    require_training()
    bases = {recipe.name: recipe.base for recipe in recipes}
    counted: dict[Any, Any] = {}
    return tuple(_planned(recipe, _root(recipe.base, bases), memory, counted) for recipe in recipes)


def _root(base: str, bases: Mapping[str, str]) -> str:
    """The base below a chain: its parents have the same shapes."""
    while base.startswith(RUN) and base.removeprefix(RUN) in bases:
        base = bases[base.removeprefix(RUN)]
    return base


def _planned(recipe: Recipe, base: str, memory: int | None, counted: dict[Any, Any]) -> PlanRow:
    if recipe.kind == "pretrain":
        raise UsageError(f"{recipe.name} is pre-training, which is not planned", next="plan sft and dpo recipes")
    if base not in counted:
        counted[base] = config_at(base)
    config = counted[base]
    told = _told(recipe, base)
    device = _device(recipe, memory)
    there = memory if memory is not None else available(device)
    length = min(recipe.training.max_length, told.longest or recipe.training.max_length)
    shapes = shapes_of(config, recipe.adapter)
    length = min(length, shapes.context or length)
    found = _parts(recipe, config, shapes, device, length)
    fits = None if there is None else found.total <= there
    advice = (
        next(_that_fit(recipe, (config, shapes), device, length, there), _hopeless(found)) if fits is False else None
    )
    seconds, reason = _seconds(recipe, shapes, told, device, local=memory is None)
    rows = recipe.training.batch * (2 if recipe.kind == "dpo" else 1)
    why = {name: reason for name, reason in (("tokens", told.why), ("seconds", reason)) if reason}
    return PlanRow(
        run=recipe.name,
        kind=recipe.kind,
        base=recipe.base,
        method=recipe.adapter.method,
        device=device,
        parameters=shapes.parameters,
        trained=shapes.parameters if recipe.adapter.method == "full" else recipe.adapter.rank * shapes.adapted,
        length=length,
        tokens=told.tokens,
        **{name: getattr(found, name) for name in PARTS},
        total=found.total,
        whole_logits=whole_logits(shapes, rows * length),
        memory=there,
        fits=fits,
        seconds=seconds,
        advice=advice,
        why=why,
    )


def _device(recipe: Recipe, memory: int | None) -> str:
    """The device that is here; of one that is not, auto is taken for cuda."""
    if memory is None:
        return device_of(recipe.device)
    return "cuda" if recipe.device == "auto" else recipe.device


PARTS = ("weights", "adapter", "gradients", "optimiser", "activations", "logits", "workspace", "context")


def _parts(recipe: Recipe, config: Any, shapes: Shapes, device: str, length: int) -> Parts:
    """The parts of a run on a device, its texts `length` tokens long."""
    name = recipe.precision if recipe.precision != "auto" else ("float32" if device == "cpu" else "bfloat16")
    products = 4 if name == "float32" else 2
    setting = Setting(device, products, products, length)
    trained = "bfloat16" if recipe.adapter.method == "qlora" and products == 4 else name
    rows = recipe.training.batch * (2 if recipe.kind == "dpo" else 1)
    return parts(recipe, shapes, kept(config, recipe.adapter, rows, length, (name, trained)), setting)


Change = tuple[str, dict[str, Any]]


def _changes(recipe: Recipe) -> Iterator[Change]:
    """Settings that take less memory, those that cost least first."""
    training = recipe.training
    if not training.chunked_loss:
        yield "training.chunked_loss = true", {"training": {"chunked_loss": True}}
    if not training.gradient_checkpointing:
        yield "training.gradient_checkpointing = true", {"training": {"gradient_checkpointing": True}}
    if training.batch > 1:
        more = training.batch * training.accumulation
        said = f"training.batch = 1 with training.accumulation = {more}"
        yield said, {"training": {"batch": 1, "accumulation": more}}
    if recipe.adapter.method == "full":
        yield 'training.optimiser = "adamw-paged-8bit"', {"training": {"optimiser": "adamw-paged-8bit"}}
        yield 'adapter.method = "lora"', {"adapter": {"method": "lora"}}
    if recipe.adapter.method != "qlora":
        yield 'adapter.method = "qlora"', {"adapter": {"method": "qlora"}}
    for length in (512, 256, 128):
        if length < training.max_length:
            yield f"training.max_length = {length}", {"training": {"max_length": length}}


def _that_fit(recipe: Recipe, model: tuple[Any, Shapes], device: str, length: int, memory: int | None) -> Iterator[str]:
    """Sentences that would make it fit: the first single setting that does, else as many as it takes, together."""
    taken: list[str] = []
    for together in (False, True):
        changed = recipe
        for said, change in _changes(recipe):
            changed = _with(changed if together else recipe, change)
            found = _parts(changed, *model, device, min(length, changed.training.max_length))
            taken.append(said)
            if found.total <= (memory or 0):
                chosen = taken if together else [said]
                yield f"set {' and '.join(chosen)}: that takes {_gib(found.total)}"
        taken = []


def _with(recipe: Recipe, change: Mapping[str, Mapping[str, Any]]) -> Recipe:
    sections = {name: dataclasses.replace(getattr(recipe, name), **values) for name, values in change.items()}
    return dataclasses.replace(recipe, **sections)


def _hopeless(found: Parts) -> str:
    return f"no setting makes it fit (its weights alone take {_gib(found.weights)}); choose a smaller base"


def _told(recipe: Recipe, base: str) -> Told:
    """Rows and lengths of the data, where data and tokenizer are at hand."""
    try:
        rows = read_rows(recipe.data, recipe.kind)
    except KaiboError as problem:
        return Told(None, None, None, f"the data were not read: {problem.message}")
    try:
        tokenizer = load_tokenizer(Path(base))
        lengths = _lengths(rows, tokenizer)
    except (KaiboError, ValueError) as problem:
        return Told(len(rows.rows), None, None, f"no text was cut into tokens ({str(problem)[:200]})")
    longest = max(max(row) for row in lengths)
    passes = recipe.training.epochs
    if recipe.training.steps:
        passes = recipe.training.steps * recipe.training.batch * recipe.training.accumulation / len(lengths)
    cut = recipe.training.max_length
    return Told(len(lengths), longest, round(passes * sum(min(cut, one) for row in lengths for one in row)))


def _lengths(rows: Rows, tokenizer: Any) -> list[tuple[int, ...]]:
    """Tokens of each row; for preferences of both answers with the prompt."""
    found = []
    for row in rows.rows:
        answers = [row[name] for name in ("chosen", "rejected", "completion") if name in row] or [None]
        found.append(tuple(_tokens(row, answer, tokenizer) for answer in answers))
    return found


def _tokens(row: Mapping[str, Any], answer: Any, tokenizer: Any) -> int:
    if answer is None:
        return len(tokenizer(row["text"])["input_ids"]) + 1
    if isinstance(answer, str):
        return len(tokenizer(row["prompt"] + answer)["input_ids"]) + 1
    return len(tokenizer.apply_chat_template([*row["prompt"], *answer], return_dict=True)["input_ids"])


def _seconds(recipe: Recipe, shapes: Shapes, told: Told, device: str, *, local: bool) -> tuple[float | None, str]:
    """Multiplications of the run over those a second that this device makes.

    A token costs 2 per weight forward, 2 back to the inputs, 2 more for the gradients of weights that are trained, 2
    more where activations are computed again, and 2 for DPO's reference.
    """
    tokens = told.tokens
    if tokens is None and told.rows is not None:
        tokens = total_steps(recipe, told.rows) * recipe.training.batch * recipe.training.max_length
    if tokens is None:
        return None, "the number of tokens is not known"
    if not local:
        return None, "the device is not here to be measured"
    passes = 6 if recipe.adapter.method == "full" else 4
    passes += 2 if recipe.training.gradient_checkpointing else 0
    passes += 2 if recipe.kind == "dpo" and not recipe.dpo.precompute_reference else 0
    return passes * shapes.parameters * tokens / products_per_second(device), ""


def available(device: str) -> int | None:
    """Bytes that a device has for us now; None where it does not say."""
    if device == "cuda":
        import torch

        free, _ = torch.cuda.mem_get_info()
        return int(free)
    limits = [limit for limit in (_free(), _granted()) if limit is not None]
    return min(limits) if limits else None


def _free() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable")), None)


def _granted() -> int | None:
    """What the control group leaves of its limit."""
    root = Path("/sys/fs/cgroup")
    try:
        limit = (root / "memory.max").read_text(encoding="ascii").strip()
        used = int((root / "memory.current").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    return None if limit == "max" else max(0, int(limit) - used)


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.0f} MiB"
