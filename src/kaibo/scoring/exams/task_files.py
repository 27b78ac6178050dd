"""A task as a small file: TOML in, a checked `Task` out, every field known by name."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import resources
from typing import Any

from kaibo.documents.fields import Place, read, setting
from kaibo.documents.reading import TOML_LIMIT, read_text
from kaibo.documents.toml_text import toml_lines, toml_value
from kaibo.errors import FormatError, UsageError
from kaibo.vocabulary.evaluations import METRICS
from kaibo.vocabulary.scores import nearest


@dataclass(frozen=True)
class Prompt:
    """How a row of data becomes a question.

    `description` comes once before everything, `template` is the question; `options` are templates, or one expression
    that gives a list; `target` gives the place of the right option, its text, or the texts that count as right.
    `joiner` stands between question and option, on the option's side. With `ending` the options go into the template
    (as `option`) and the ending is what is scored. `shot` is one worked example.
    """

    name: str = ""
    template: str = ""
    target: str = ""
    options: str | tuple[str, ...] = ()
    description: str = ""
    ending: str | None = None
    joiner: str = " "
    shot: str = "{{ prompt }}{{ joiner }}{{ answer }}\n\n"


@dataclass(frozen=True)
class Columns:
    """Which columns of the data name a row, and the group that it belongs to."""

    id: str | None = None
    group: str | None = None


@dataclass(frozen=True)
class Source:
    """Where the rows are: a path (or a pattern to look for in a folder), a format, and which columns say what.

    `options`, `items`, `seed` and `before` (characters) are for the cloze maker, which makes the rows from a text.
    """

    path: str | None = None
    format: str | None = None
    split: str = ""
    map: Columns = field(default_factory=Columns)
    options: int = 4
    items: int = setting(200, "questions that are made", least=1)
    seed: int = 0
    before: int = setting(300, "characters before a gap", least=1)


@dataclass(frozen=True)
class _About:
    name: str
    version: str | int | float = "1"
    language: str = "en"


@dataclass(frozen=True)
class _Prompts(Prompt):
    variants: tuple[Prompt, ...] = ()


@dataclass(frozen=True)
class _Shots:
    n: int = setting(0, "worked examples", least=0)
    source: str | None = None
    seed: int = 0
    template: str | None = None
    stratify: bool = False


@dataclass(frozen=True)
class _Metric:
    names: tuple[str, ...] = ()
    chance: float | None = None


@dataclass(frozen=True)
class _Generate:
    stop: tuple[str, ...] = ("\n\n",)
    max_tokens: int = setting(64, "tokens of an answer", least=1)


@dataclass(frozen=True)
class _File:
    """The sections of a task file."""

    task: _About
    prompt: _Prompts
    data: Source = field(default_factory=Source)
    few_shot: _Shots = field(default_factory=_Shots)
    metric: _Metric = field(default_factory=_Metric)
    generate: _Generate = field(default_factory=_Generate)


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

    Raises MissingError where there is none, FormatError for what is not TOML or not of its field's type, UsageError
    (with the nearest name) for fields that no task has.
    """
    path = os.fspath(name)
    if path in shipped():
        text = resources.files("kaibo.scoring").joinpath("tasks", f"{path}.toml").read_text(encoding="utf-8")
        return parse_task(text, f"{path}.toml", "")
    advice = f"shipped tasks: {nearest(path, shipped(), 40)}"
    return parse_task(read_text(path, TOML_LIMIT, advice), path, os.path.dirname(path))


def parse_task(text: str, file: str, folder: str) -> Task:
    """The task that a file's text describes; raises as `read_task` does."""
    found = toml_value(text, file)

    def line_of(place: Place) -> int | None:
        return toml_lines(text).get(place)

    said = read(_File, found, file, line_of=line_of)
    for name in ("template", "target"):
        if name not in found["prompt"]:
            raise FormatError(f"[prompt] has no {name}", file=file)
    prompts = _prompts(found["prompt"], said.few_shot.template, file)
    return _sensible(_task(said, prompts, hashlib.sha256(text.encode()).hexdigest()[:16], folder), file)


def _task(said: _File, prompts: tuple[Prompt, ...], digest: str, folder: str) -> Task:
    return Task(
        name=said.task.name,
        version=str(said.task.version),
        language=said.task.language,
        data=said.data,
        prompts=prompts,
        metrics=said.metric.names or (("exact_match",) if not prompts[0].options else ("acc", "acc_norm")),
        chance=said.metric.chance,
        shots=said.few_shot.n,
        shots_source=said.few_shot.source,
        seed=said.few_shot.seed,
        stratified=said.few_shot.stratify,
        stop=said.generate.stop,
        max_tokens=said.generate.max_tokens,
        hash=digest,
        folder=folder,
    )


def _prompts(found: Mapping[str, Any], shot: str | None, file: str) -> tuple[Prompt, ...]:
    """The prompt and its variants, which take from it what they leave out."""
    first = {name: value for name, value in found.items() if name != "variants"}
    if shot is not None:
        first["shot"] = shot
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
    if any(not one for one in task.stop):
        raise FormatError("a stop text is empty", file=file)
    return task


def names_of(tasks: Sequence[Task]) -> str:
    """The tasks' names in one line."""
    return ", ".join(task.name for task in tasks)
