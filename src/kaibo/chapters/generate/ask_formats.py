"""What a wrong prompt format costs: the same answers under a model's own chat template and under others."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kaibo.chapters.generate.ask import Prompt, prompt_ids
from kaibo.chapters.generate.formats import FormattedAnswers, formats
from kaibo.chapters.generate.rows import FormatRow
from kaibo.desk.addresses import Address, OnError, addresses, raising
from kaibo.desk.running import Running, opened, tokenizer_of
from kaibo.documents.json_text import json_line
from kaibo.documents.reading import read_text
from kaibo.errors import FormatError, KaiboError, UsageError
from kaibo.vocabulary import Finding

if TYPE_CHECKING:
    from kaibo.llama.engines.causal import Causal

FORMATS = ("own", "llama-2", "alpaca", "plain", "none")
"""The model's own template, two that others were trained with, the bare question, and no question at all."""

ALPACA = "### Instruction:\n{text}\n\n### Response:\n"
"""The form of Stanford Alpaca (Taori et al. 2023), without its preamble."""


@dataclass(frozen=True)
class Chat:
    """A conversation whose answer is known: `turns` are (role, content) pairs, the last of them the user's."""

    turns: tuple[tuple[str, str], ...]
    answer: str


def chats(file: Address, *, first: int = 0, most: int | None = None) -> list[Chat]:
    """The chats of a JSON-lines file, `{"messages": [{"role", "content"}, …]}`, the last message the assistant's.

    `first` lines are passed over, `most` are read. Raises MissingError where the file is absent, FormatError naming
    the line that is no chat.
    """
    path = Path(os.fspath(file))
    lines = read_text(path).split("\n")
    chosen = [(number, line) for number, line in enumerate(lines, start=1) if line.strip()][first:]
    return [_chat(line, number, path) for number, line in chosen[:most]]


def _chat(line: str, number: int, path: Path) -> Chat:
    row = json_line(line, path, number)
    try:
        turns = [(str(one["role"]), str(one["content"])) for one in row["messages"]]
    except (KeyError, TypeError) as wrong:
        message = f"line {number} is no chat"
        raise FormatError(message, file=path, next='{"messages": [{"role": …, "content": …}]}') from wrong
    if len(turns) < 2 or [role for role, _ in turns[-2:]] != ["user", "assistant"] or not turns[-1][1].strip():
        raise FormatError(f"line {number} does not end with a user's question and an answer", file=path)
    return Chat(tuple(turns[:-1]), turns[-1][1])


def prompt_formats(
    models: Address | Iterable[Address],
    asked: Sequence[Chat],
    *,
    wanted: Sequence[str] = FORMATS,
    running: Running | None = None,
    on_error: OnError | None = None,
) -> Finding[FormatRow]:
    """Perplexity of the answers' tokens under each format, and its cost beside the model's own.

    The ids of an answer are the same under every format, so that formats differ in what stands before them only;
    chats that do not fit the context under one of them are left out under all. Formats are `own`, `llama-2`,
    `alpaca`, `plain` and `none`. Raises UsageError for another and where no chat is given, and what opening raises.
    """
    if not asked or set(wanted) - set(FORMATS):
        raise UsageError("wants chats, and formats of its list", next=f"formats: {', '.join(FORMATS)}")
    found: list[FormattedAnswers] = []
    notes: dict[str, None] = {}
    for address in addresses(models):
        try:
            causal = opened(address, running)
            measured, said = _measured(causal, asked, wanted)
        except KaiboError as error:
            (on_error or raising)(error)
            continue
        found += measured
        notes |= dict.fromkeys((*causal.notes, *said))
    finding = formats(found)
    return Finding(finding.kind, finding.rows, (*finding.notes, *notes), finding.provenance)


def _measured(
    causal: Causal, asked: Sequence[Chat], wanted: Sequence[str]
) -> tuple[list[FormattedAnswers], tuple[str, ...]]:
    from kaibo.scoring.exams.chats import answer_nats

    there = [name for name in wanted if name != "own" or causal.template is not None]
    notes = [] if there == list(wanted) else [f"{causal.address} has no chat template: nothing to count costs from"]
    prompts = {name: _prompts(causal, asked, name) for name in there}
    answers = [tokenizer_of(causal).encode(one.answer, begin=False) for one in asked]
    kept = [place for place, answer in enumerate(answers) if _fits(causal, prompts, place, answer)]
    if not kept:
        raise UsageError("no chat fits its context", file=causal.address, next="give shorter chats")
    if len(kept) < len(asked):
        notes.append(f"{len(asked) - len(kept)} chats do not fit the context of {causal.context:,} tokens")
    found = []
    for name in there:
        nats = answer_nats(causal, [(prompts[name][place], answers[place]) for place in kept])
        tokens = np.array([len(one) for one in nats], np.int64)
        sums = np.array([one.sum() for one in nats])
        found.append(FormattedAnswers(causal.address, name, name == "own", tokens, sums))
    return found, tuple(notes)


def _fits(causal: Causal, prompts: dict[str, Any], place: int, answer: Sequence[int]) -> bool:
    longest = max(len(ids[place]) for ids in prompts.values()) + len(answer)
    return bool(answer) and (causal.context is None or longest - 1 <= causal.context)


def _prompts(causal: Causal, asked: Sequence[Chat], name: str) -> list[list[int]]:
    """What the model reads before each answer; at least one token."""
    from kaibo.llama.chat import Message, own_templates

    if name != "own":
        return [_ids(causal, chat, name) for chat in asked]
    tokenizer = tokenizer_of(causal)
    talks = [[Message(*turn) for turn in chat.turns] for chat in asked]
    pieces = own_templates(causal.template or "", talks, tokenizer.tags, causal.address)
    return [tokenizer.prompt(one) for one in pieces]


def _ids(causal: Causal, chat: Chat, name: str) -> list[int]:
    tokenizer = tokenizer_of(causal)
    text = chat.turns[-1][1]
    if name == "llama-2":
        return prompt_ids(causal, Prompt(text, name, chat.turns[:-1]))
    said = {"alpaca": ALPACA.format(text=text), "plain": f"{text}\n", "none": ""}[name]
    ids = tokenizer.encode(said)
    if ids:
        return ids
    lead = tokenizer.tags.bos or tokenizer.tags.eos
    led = tokenizer.encode(lead, begin=False, special=True) if lead else []
    if not led:
        raise UsageError("its tokenizer has no first token", file=causal.address, next="leave out the format none")
    return led
