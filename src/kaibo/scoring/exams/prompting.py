"""Rows of data as questions: templates rendered in a sandbox, worked examples drawn by a seed."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kaibo.documents.templates import RefusedTemplateError, rendered, value_of
from kaibo.errors import FormatError, UsageError
from kaibo.scoring.exams.task_data import Rows, read_rows
from kaibo.scoring.exams.task_files import Prompt, Task

ALONE = re.compile(r"\s*\{\{(?P<expression>(?:(?!\}\}).)*)\}\}\s*", re.DOTALL)
"""A template that is one expression: its value is taken as it is, a list as a list."""


@dataclass(frozen=True)
class Question:
    """What is asked of a model: `contexts` and `endings` have an entry an option (one, where none is to be chosen).

    What is scored is an ending, given its context. `options` are the texts by whose length scores are divided;
    `wanted` are the texts that count as right where the answer is written.
    """

    item: int
    id: str
    group: str
    contexts: tuple[str, ...] = field(repr=False)
    endings: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    right: int | None = None
    wanted: tuple[str, ...] = ()


@dataclass(frozen=True)
class Paper:
    """A task in one form: a prompt and its worked examples, and all questions.

    `hash` names what makes the questions (task file, data, prompt, examples), whatever their number.
    """

    task: Task
    prompt: Prompt
    variant: str
    shots: int
    questions: tuple[Question, ...] = field(repr=False)
    hash: str
    notes: tuple[str, ...] = ()


def papers(
    task: Task, given: str | None, *, shots: int | None = None, variants: int = 1, limit: int | None = None
) -> list[Paper]:
    """The task in so many forms: its prompts in turn, then the same with other worked examples.

    Raises what reading the data raises, FormatError (naming the line) for a row that lacks a column or a right
    answer, UsageError for more examples than there are rows, or for a number of forms below one.
    """
    if variants < 1 or (limit is not None and limit < 1):
        raise UsageError("--variants and --limit are 1 or more")
    data = read_rows(task.data, task.folder, given, task.name)
    count = task.shots if shots is None else shots
    pool = data if task.shots_source in (None, "data") else read_rows(_elsewhere(task), task.folder, None, task.name)
    possible = variants if count else min(variants, len(task.prompts))
    forms = [(task.prompts[k % len(task.prompts)], task.seed + k // len(task.prompts)) for k in range(possible)]
    made = [_paper(task, prompt, seed, data, pool, count, limit) for prompt, seed in forms]
    if possible < variants:
        note = f"{task.name} has {possible} forms without worked examples; more come with --shots"
        made[0] = Paper(**{**vars(made[0]), "notes": (*made[0].notes, note)})
    return made


def _elsewhere(task: Task) -> Any:
    from dataclasses import replace

    return replace(task.data, path=task.shots_source)


def _paper(task: Task, prompt: Prompt, seed: int, data: Rows, pool: Rows, count: int, limit: int | None) -> Paper:
    drawn = _drawn(pool, count, seed, _answers(prompt, pool) if task.stratified and count else None)
    examples = "".join(_shot(prompt, pool, place) for place in drawn)
    before = _text(prompt.description, {}, pool, 0) + examples
    held_out = set(drawn) if pool is data else set()
    places = [place for place in range(len(data)) if place not in held_out][:limit]
    questions = tuple(_question(task, prompt, data, place, before) for place in places)
    notes = [f"{count} rows of the data are worked examples and are not asked"] if held_out else []
    equal = sum(len(set(one.endings)) < len(one.endings) and len(set(one.contexts)) == 1 for one in questions)
    notes += [f"{equal} questions have equal options; the first of them counts"] if equal else []
    said = "\0".join((task.hash, data.hash, prompt.name, before, str(count), pool.hash))
    variant = f"{prompt.name}" + (f" · examples {seed}" if count else "")
    return Paper(task, prompt, variant, count, questions, hashlib.sha256(said.encode()).hexdigest()[:32], tuple(notes))


def _drawn(pool: Rows, count: int, seed: int, answers: Sequence[str] | None) -> list[int]:
    """The rows that are worked examples; with `answers`, each answer in turn, as far as there are rows with it."""
    if count < 0 or count > len(pool):
        raise UsageError(f"{count} worked examples of {len(pool)} rows", file=pool.file, next="give fewer --shots")
    order: list[int] = np.random.default_rng(seed).permutation(len(pool)).tolist()
    if answers is not None:
        seen: Counter[str] = Counter()
        turns = {}
        for place in order:
            turns[place] = seen[answers[place]]
            seen[answers[place]] += 1
        order.sort(key=turns.__getitem__)  # stable: the first of every answer, then the second …
    return order[:count]


def _answers(prompt: Prompt, pool: Rows) -> list[str]:
    """What is right in each row."""
    found = []
    for place, row in enumerate(pool.rows):
        options = _options(prompt, row, pool, place)
        right, wanted = _target(prompt, options, row, pool, place)
        found.append(wanted[0] if right is None else options[right])
    return found


def _shot(prompt: Prompt, data: Rows, place: int) -> str:
    """One worked example: a question with its right answer."""
    row = data.rows[place]
    options = _options(prompt, row, data, place)
    right, wanted = _target(prompt, options, row, data, place)
    answer = options[right] if right is not None else wanted[0]
    option = answer if prompt.ending is not None else None
    asked = _text(prompt.template, {**row, "option": option, "options": options}, data, place)
    if prompt.ending is not None:
        answer = _text(prompt.ending, {**row, "option": option}, data, place)
    more = {"prompt": asked, "joiner": prompt.joiner, "answer": answer, "options": options}
    return _text(prompt.shot, {**row, **more}, data, place)


def _question(task: Task, prompt: Prompt, data: Rows, place: int, before: str) -> Question:
    row = data.rows[place]
    options = _options(prompt, row, data, place)
    right, wanted = _target(prompt, options, row, data, place)
    name = _named(task.data.map.id, row, data, place) or str(place)
    group = _named(task.data.map.group, row, data, place) or str(place)
    if prompt.ending is None:
        context = before + _text(prompt.template, {**row, "options": options}, data, place)
        contexts = (context,) * max(len(options), 1)
        endings = tuple(prompt.joiner + option for option in options)
    else:
        ending = prompt.joiner + _text(prompt.ending, row, data, place)
        contexts = tuple(before + _text(prompt.template, {**row, "option": one}, data, place) for one in options)
        endings = (ending,) * len(options)
    if any(not one for one in endings):
        raise _bad(data, place, "has an option without any text", "mend the data, or give the prompt a joiner")
    return Question(place, name, group, contexts, endings, options, right, wanted)


def _options(prompt: Prompt, row: Mapping[str, Any], data: Rows, place: int) -> tuple[str, ...]:
    if not prompt.options:
        return ()
    if isinstance(prompt.options, tuple):
        return tuple(_text(one, row, data, place) for one in prompt.options)
    found = _value(prompt.options, row, data, place)
    if isinstance(found, str):
        found = [line for line in found.split("\n") if line]
    if not isinstance(found, Sequence) or not found or not all(isinstance(one, str) for one in found):
        raise _bad(data, place, "has no list of texts as options", "see options of [prompt]")
    return tuple(found)


def _target(
    prompt: Prompt, options: tuple[str, ...], row: Mapping[str, Any], data: Rows, place: int
) -> tuple[int | None, tuple[str, ...]]:
    """The place of the right option, or the texts that count as right."""
    found = _value(prompt.target, row, data, place)
    if not options:
        several = found if isinstance(found, list | tuple) else [found]
        wanted = tuple(str(one) for one in several)
        if not wanted or not all(wanted):
            raise _bad(data, place, "has no right answer", "see target of [prompt]")
        return None, wanted
    if isinstance(found, str):
        if found in options:
            return options.index(found), ()
        found = int(found) if re.fullmatch(r"[0-9]+", found.strip()) else found
    if isinstance(found, bool) or not isinstance(found, int) or not 0 <= found < len(options):
        message = f"says the right option is {found!r}, there are {len(options)}"
        raise _bad(data, place, message, "target is a place from 0 on, or an option's text")
    return found, ()


def _named(column: str | None, row: Mapping[str, Any], data: Rows, place: int) -> str | None:
    return None if column is None else str(_value(column, row, data, place))


def _value(template: str, row: Mapping[str, Any], data: Rows, place: int) -> Any:
    """What a template that is one expression gives, or a column by its name; any other template as text."""
    alone = ALONE.fullmatch(template)
    if alone is None and "{" in template:
        return _text(template, row, data, place)
    expression = alone["expression"] if alone else None
    if expression is None:
        if template not in row:
            raise _missing(template, data, place)
        return row[template]
    try:
        return value_of(expression, row, data.file)
    except RefusedTemplateError as wrong:
        raise _failed(wrong, template, data, place) from wrong


def _text(template: str, row: Mapping[str, Any], data: Rows, place: int) -> str:
    try:
        return rendered(template, row, data.file)
    except RefusedTemplateError as wrong:
        raise _failed(wrong, template, data, place) from wrong


def _failed(wrong: Exception, template: str, data: Rows, place: int) -> FormatError:
    return _bad(data, place, f"cannot be put into the template ({wrong})", f"the template is {template[:80]!r}")


def _missing(column: str, data: Rows, place: int) -> FormatError:
    there = ", ".join(list(data.rows[place])[:12])
    return _bad(data, place, f'has no column "{column}"', f"it has {there}")


def _bad(data: Rows, place: int, message: str, advice: str) -> FormatError:
    return FormatError(f"line {data.lines[place]} {message}", file=data.file, next=advice)
