"""A task as a small file: TOML in, a checked `Task` out, every field known by name."""

from __future__ import annotations

import hashlib
import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import resources
from typing import Any

from kaibo.errors import FormatError, MissingError, UsageError
from kaibo.vocabulary.evaluations import METRICS
from kaibo.vocabulary.scores import nearest

PROMPT = {
    "name": str,
    "description": str,
    "template": str,
    "options": (str, list),
    "ending": str,
    "target": str,
    "joiner": str,
    "shot": str,
}
"""The fields of a prompt; a variant has the same ones and takes what it leaves out from the first."""

FIELDS: Mapping[str, Mapping[str, Any]] = {
    "task": {"name": str, "version": (str, int, float), "language": str},
    "data": {
        "path": str,
        "format": str,
        "split": str,
        "map": dict,
        "options": int,
        "items": int,
        "seed": int,
        "before": int,
    },
    "prompt": {**PROMPT, "variants": list},
    "few_shot": {"n": int, "source": str, "seed": int, "template": str, "stratify": bool},
    "metric": {"names": list, "chance": (int, float)},
    "generate": {"stop": list, "max_tokens": int},
}
MAPPED = {"id": str, "group": str}


@dataclass(frozen=True)
class Prompt:
    """How a row of data becomes a question.

    `description` comes once before everything, `template` is the question; `options` are templates, or one expression
    that gives a list; `target` gives the place of the right option, its text, or the texts that count as right.
    `joiner` stands between question and option, on the option's side. With `ending` the options go into the template
    (as `option`) and the ending is what is scored. `shot` is one worked example.
    """

    name: str
    template: str
    target: str
    options: str | tuple[str, ...] = ()
    description: str = ""
    ending: str | None = None
    joiner: str = " "
    shot: str = "{{ prompt }}{{ joiner }}{{ answer }}\n\n"


@dataclass(frozen=True)
class Source:
    """Where the rows are: a path (or a pattern to look for in a folder), a format, and which columns say what.

    `options`, `items`, `seed` and `before` (characters) are for the cloze maker, which makes the rows from a text.
    """

    path: str | None = None
    format: str | None = None
    split: str = ""
    id: str | None = None
    group: str | None = None
    options: int = 4
    items: int = 200
    seed: int = 0
    before: int = 300


@dataclass(frozen=True)
class Task:
    """A task as its file says; `hash` is that of the file, `folder` what its paths are relative to.

    With `stratified` the worked examples have each right answer as often as any other.
    """

    name: str
    version: str
    language: str
    data: Source
    prompts: tuple[Prompt, ...]
    metrics: tuple[str, ...]
    chance: float | None
    shots: int
    shots_source: str | None
    seed: int
    stratified: bool
    stop: tuple[str, ...]
    max_tokens: int
    hash: str
    folder: str = field(repr=False)

    @property
    def written(self) -> bool:
        """Whether the model writes its answer, rather than choosing one."""
        return not self.prompts[0].options


def shipped() -> tuple[str, ...]:
    """The names of the tasks that come with kaibo."""
    folder = resources.files("kaibo.scoring").joinpath("tasks")
    return tuple(sorted(one.name.removesuffix(".toml") for one in folder.iterdir() if one.name.endswith(".toml")))


def read_task(name: str | os.PathLike[str]) -> Task:
    """The task of a file, or a shipped one by its name.

    Raises MissingError where there is none, FormatError for what is not TOML, UsageError (with the nearest name) for
    fields that no task has.
    """
    path = os.fspath(name)
    if path in shipped():
        text = resources.files("kaibo.scoring").joinpath("tasks", f"{path}.toml").read_text(encoding="utf-8")
        return parse_task(text, f"{path}.toml", "")
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except OSError as problem:
        advice = f"shipped tasks: {nearest(path, shipped(), 40)}"
        raise MissingError(f"is no task file: {problem.strerror}", file=path, next=advice) from problem
    except UnicodeDecodeError as wrong:
        raise FormatError("is not UTF-8", file=path, offset=wrong.start) from wrong
    return parse_task(text, path, os.path.dirname(path))


def parse_task(text: str, file: str, folder: str) -> Task:
    """The task that a file's text describes; raises as `read_task` does."""
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as wrong:
        raise FormatError(f"is not TOML: {wrong}", file=file) from wrong
    _check(found, file)
    task, data, metric = found["task"], found.get("data", {}), found.get("metric", {})
    prompts = _prompts(found["prompt"], found.get("few_shot", {}), file)
    few, generate = found.get("few_shot", {}), found.get("generate", {})
    read = Task(
        name=task["name"],
        version=str(task.get("version", "1")),
        language=task.get("language", "en"),
        data=Source(**{**{k: v for k, v in data.items() if k != "map"}, **data.get("map", {})}),
        prompts=prompts,
        metrics=tuple(metric.get("names") or (("exact_match",) if not prompts[0].options else ("acc", "acc_norm"))),
        chance=metric.get("chance"),
        shots=few.get("n", 0),
        shots_source=few.get("source"),
        seed=few.get("seed", 0),
        stratified=few.get("stratify", False),
        stop=tuple(generate.get("stop", ("\n\n",))),
        max_tokens=generate.get("max_tokens", 64),
        hash=hashlib.sha256(text.encode()).hexdigest()[:16],
        folder=folder,
    )
    return _sensible(read, file)


def _check(found: Mapping[str, Any], file: str) -> None:
    for section, value in found.items():
        if section not in FIELDS:
            raise UsageError(
                f'a task has no section "{section}"', file=file, next=f"it has {nearest(section, list(FIELDS))}"
            )
        if not isinstance(value, dict):
            raise FormatError(f"[{section}] is no table", file=file)
        _fields(value, FIELDS[section], section, file)
    _fields(found.get("data", {}).get("map", {}), MAPPED, "data.map", file)
    for place, variant in enumerate(found.get("prompt", {}).get("variants", ()), 1):
        if not isinstance(variant, dict):
            raise FormatError(f"variant {place} of the prompt is no table", file=file, next="write [[prompt.variants]]")
        _fields(variant, PROMPT, f"prompt.variants {place}", file)
    for section, name in (("task", "name"), ("prompt", "template"), ("prompt", "target")):
        if name not in found.get(section, {}):
            raise FormatError(f"[{section}] has no {name}", file=file)


def _fields(given: Mapping[str, Any], known: Mapping[str, Any], section: str, file: str) -> None:
    for name, value in given.items():
        if name not in known:
            advice = f"[{section}] has {nearest(name, list(known))}"
            raise UsageError(f'[{section}] has no field "{name}"', file=file, next=advice)
        if not isinstance(value, known[name]) or (isinstance(value, bool) and known[name] is not bool):
            raise FormatError(f"[{section}] {name} is a {type(value).__name__}", file=file)
        if isinstance(value, list) and name != "variants" and not all(isinstance(one, str) for one in value):
            raise FormatError(f"[{section}] {name} holds something that is no text", file=file)


def _prompts(found: Mapping[str, Any], few: Mapping[str, Any], file: str) -> tuple[Prompt, ...]:
    first = {name: value for name, value in found.items() if name != "variants"}
    if "template" in few:
        first["shot"] = few["template"]
    several = [first, *({**first, **variant} for variant in found.get("variants", ()))]
    prompts = tuple(Prompt(**{"name": str(place), **_lists_as_tuples(one)}) for place, one in enumerate(several))
    if len({bool(prompt.options) for prompt in prompts}) > 1:
        raise FormatError("some variants of the prompt have options and some have none", file=file)
    names = [prompt.name for prompt in prompts]
    if len(set(names)) < len(names):
        prompts = tuple(replace(prompt, name=str(place)) for place, prompt in enumerate(prompts))
    return prompts


def _lists_as_tuples(found: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in found.items()}


def _sensible(task: Task, file: str) -> Task:
    unknown = [name for name in task.metrics if name not in METRICS]
    if unknown:
        raise UsageError(f'no measure "{unknown[0]}"', file=file, next=f"measures: {nearest(unknown[0], METRICS, 20)}")
    if task.shots < 0 or task.max_tokens < 1:
        raise FormatError("n of [few_shot] is 0 or more, max_tokens of [generate] 1 or more", file=file)
    if task.data.items < 1 or task.data.before < 1:
        raise FormatError("items and before of [data] are 1 or more", file=file)
    if any(not one for one in task.stop):
        raise FormatError("a stop text is empty", file=file)
    return task


def names_of(tasks: Sequence[Task]) -> str:
    """The tasks' names in one line."""
    return ", ".join(task.name for task in tasks)
