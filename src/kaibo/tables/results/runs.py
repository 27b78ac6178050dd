"""Which model and which training step a result file of lm-evaluation-harness is about, however it was named."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kaibo.models.runs.checkpoints import step_of

STAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d[-:]\d\d[-:]\d\d(?:\.\d{1,9})?)")
_SPLIT_OFF = ("peft", "delta", "pretrained", "model", "path", "engine")
_WORDS = ("checkpoint", "global_step", "globalstep", "step", "iter", "ckpt")
_LONGEST = 1000
"""Characters of the longest name of a model: more is the printed form of a Python object."""

_PRODUCT = 10
"""`lab/step3` is a model of that name, `lab/step1000` a checkpoint."""


@dataclass(frozen=True)
class Named:
    """A model's name (a path keeps its folders, without that of the checkpoint) and the training step, if any."""

    model: str
    step: int | None
    is_path: bool = False


def named(value: Mapping[str, Any], path: Path) -> Named:
    """The model and step of a result file: as its arguments say, else as its folder or file is called."""
    config = value.get("config")
    config = config if isinstance(config, Mapping) else {}
    arguments = _arguments(config.get("model_args"))
    said = [value.get("model_name"), *(arguments.get(key) for key in _SPLIT_OFF), _with_slash(config.get("model"))]
    name = next((str(one).strip() for one in said if _is_name(one)), None)
    found = from_name(name) if name is not None else _from_file(path)
    revision = str(arguments.get("revision") or "").strip()[:_LONGEST]
    by_revision = step_of(revision)
    by_place = step_of(path.stem) if step_of(path.stem) is not None else step_of(path.parent.name)
    if by_revision is None and revision not in ("", "main", "None") and found.step is None:
        found = replace(found, model=f"{found.model}@{revision}")
    step = next((step for step in (by_revision, found.step, by_place) if step is not None), None)
    return replace(found, step=step)


def _arguments(given: Any) -> Mapping[str, Any]:
    if isinstance(given, Mapping):
        return given
    if not isinstance(given, str):
        return {}
    parts = (part.partition("=") for part in given.split(","))
    return {key.strip(): value.strip() for key, equals, value in parts if equals}


def _is_name(one: Any) -> bool:
    return isinstance(one, str) and 0 < len(one.strip()) <= _LONGEST and "\n" not in one.strip()


def _with_slash(model: Any) -> str | None:
    # From Python this is the kind of model ("hf", "DummyLM") or, for some, the name of the weights.
    return model if isinstance(model, str) and "/" in model else None


def _from_file(path: Path) -> Named:
    # results_2024-05-01T….json lies in a folder named after the model (org__name)
    stem = STAMP.sub("", path.stem).rstrip("-_.")
    if stem and stem != "results":
        head, step = _without_step(stem)
        if head:
            return Named(head, step)
    return from_name(path.parent.name.replace("__", "/"))


def from_name(name: str) -> Named:
    """The model and step of a name or path.

    >>> from_name("/data/runs/demo/checkpoint-500"), from_name("org/model-7b")
    (Named(model='/data/runs/demo', step=500, is_path=True), Named(model='org/model-7b', step=None, is_path=False))
    """
    parts = [part for part in name.replace("\\", "/").split("/") if part != "."]
    while len(parts) > 1 and not parts[-1]:
        parts.pop()
    hub = len(parts) == 2 and bool(parts[0]) and not name.startswith((".", "~", "/"))
    head, step = _without_step(parts[-1])
    if step is None or (hub and not head and "step" in parts[-1].lower() and step < _PRODUCT):
        return Named("/".join(parts), None, is_path=not hub and len(parts) > 1)
    above = "/".join(parts[:-1])
    model = f"{above}/{head}" if head and above else head or above or name
    return Named(model, step, is_path=len(parts) > 1 and not (hub and head))


def _without_step(part: str) -> tuple[str, int | None]:
    """What stands before the word that names a step, and the step."""
    lowered, step = part.lower(), step_of(part)
    if step is None or len(lowered) != len(part):
        return part, None
    found = [lowered.rfind(word) for word in _WORDS]
    places = sorted({place for place in found if place >= 0 and step_of(part[place:]) == step}, reverse=True)
    if not places:
        return part, None
    place = places[0]
    if lowered[:place].endswith(("global_", "global-", "global")):
        place = lowered.rfind("global", 0, place)
    return part[:place].rstrip("-_.= "), step


def one_name_a_run(all_named: Sequence[Named]) -> list[str]:
    """What to call each model: runs that are named by a path by the shortest end of it that tells them apart.

    A path and the same path spelled from further down (`runs/demo`, `/data/runs/demo`) are one run.
    """
    paths = {one.model: tuple(part for part in one.model.split("/") if part) for one in all_named if one.is_path}
    whole: dict[str, tuple[str, ...]] = {}
    for model, parts in paths.items():
        longer = [other for other in paths.values() if parts and other[-len(parts) :] == parts]
        longest = max(longer, key=len, default=parts)
        whole[model] = longest if all(longest[-len(other) :] == other for other in longer) else parts
    shown = {model: _shortest(parts, set(whole.values())) for model, parts in whole.items()}
    return [shown.get(one.model) or one.model for one in all_named]


def _shortest(parts: tuple[str, ...], others: set[tuple[str, ...]]) -> str:
    for count in range(1, len(parts) + 1):
        if sum(other[-count:] == parts[-count:] for other in others) == 1:
            return "/".join(parts[-count:])
    return "/".join(parts)
