"""A paper as one model's tokens: what is read, under which key it is kept, and logs turned back into answers."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaibo.scoring.exams.prompting import Paper, Question
from kaibo.scoring.exams.prompts import Answer, Prompted, prompts_of, text_of
from kaibo.scoring.exams.requests import Refused, Request, Scored, requests_of
from kaibo.scoring.texts.tokens import Tokenizer
from kaibo.vocabulary import Function, LogKey, TokenLog, no_tokens
from kaibo.vocabulary.evaluations import CONTINUED, Answered

EXAM_VERSION = 2
"""Raised when the same paper would be scored otherwise under the same settings."""

ITSELF = 1
"""The branch that holds what the model itself would have written, where one given continuation is scored."""


@dataclass(frozen=True)
class ExamSettings:
    """How papers are put to a model.

    `dtype` is what it computes in, `rope` how its positions are scaled; `batch` tokens are read at a time, which
    changes no result beyond float32's last digits.
    """

    dtype: str = "float32"
    rope: str | None = None
    device: str = "cpu"
    batch: int = 512


@dataclass(frozen=True)
class Exam:
    """A paper in the tokens of one tokenizer: what can be asked, what cannot, and where it is kept."""

    paper: Paper
    requests: tuple[Request, ...] = field(repr=False)
    prompts: tuple[Prompted, ...] = field(repr=False)
    refused: tuple[Refused, ...]
    tokenizer: Tokenizer = field(repr=False)
    settings_hash: str
    ends: frozenset[int]

    @property
    def itself(self) -> bool:
        """Whether what the model would have written is kept beside the one continuation."""
        return any(name in CONTINUED for name in self.paper.task.metrics)

    @property
    def items(self) -> int:
        """How many questions are asked."""
        return len(self.paper.questions) - len(self.refused)

    def key(self, function: Function) -> LogKey:
        """What the answers of a model are kept under."""
        return LogKey.of(function, self.paper.hash, self.settings_hash)


def exam(paper: Paper, tokenizer: Tokenizer, context: int | None, settings: ExamSettings, ends: frozenset[int]) -> Exam:
    """The paper as a model with this tokenizer and context reads it."""
    task = paper.task
    together = settings.batch if settings.dtype != "float32" else None
    said: dict[str, Any] = {"version": EXAM_VERSION, "together": together}
    requests: list[Request] = []
    prompts: list[Prompted] = []
    if task.written:
        prompts, refused = prompts_of(tokenizer, paper.questions, context, task.max_tokens)
        said |= {"stop": task.stop, "max_tokens": task.max_tokens, "ends": sorted(ends)}
    else:
        requests, refused = requests_of(tokenizer, paper.questions, context)
    hashed = hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]
    return Exam(paper, tuple(requests), tuple(prompts), tuple(refused), tokenizer, hashed, ends)


def known_items(found: Exam, log: TokenLog) -> frozenset[int]:
    """The questions of which a log has everything."""
    if found.paper.task.written:
        return frozenset(log.item.tolist())
    wanted: dict[int, int] = {}
    for one in found.requests:
        wanted[one.item] = wanted.get(one.item, 0) + one.scored * (1 + found.itself)
    items, counts = np.unique(log.item, return_counts=True)
    held = dict(zip(items.tolist(), counts.tolist(), strict=True))
    return frozenset(item for item, count in wanted.items() if held.get(item) == count)


def log_of_scored(found: Exam, key: LogKey, scored: Sequence[Scored]) -> TokenLog:
    """A batch of scored requests as a part of the log."""
    parts = [_part(one.request, one.request.branch, one.request.ids[one.request.first :], one.nats) for one in scored]
    if found.itself:
        parts += [_part(one.request, ITSELF, one.best, one.best_nats) for one in scored]
    return _joined(found, key, parts)


def log_of_answers(found: Exam, key: LogKey, answers: Sequence[Answer]) -> TokenLog:
    """Written answers as a part of the log."""
    return _joined(found, key, [_part(_request(one), 0, one.ids, one.nats) for one in answers])


def _request(answer: Answer) -> Request:
    count = len(answer.ids)
    none = np.zeros((count, 2), np.int64)
    return Request(answer.prompted.item, 0, np.zeros(len(answer.prompted.ids) + count, np.int64), count, none, none)


def _part(request: Request, branch: int, ids: NDArray[np.int64], nats: NDArray[np.float32]) -> dict[str, Any]:
    count = request.scored
    positions = np.arange(request.first, request.first + count, dtype=np.int64)
    return {
        "item": np.full(count, request.item, np.int32),
        "branch": np.full(count, branch, np.int32),
        "window": np.zeros(count, np.int32),
        "position": positions,
        "token_id": ids.astype(np.int32),
        "characters": request.characters,
        "bytes": request.bytes,
        "nats": nats,
        "context_length": positions.astype(np.int32),
    }


def _joined(found: Exam, key: LogKey, parts: Sequence[Mapping[str, Any]]) -> TokenLog:
    if not parts:
        return no_tokens(key, found.paper.task.name)
    whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return TokenLog(key, found.paper.task.name, **whole)


def answered(found: Exam, log: TokenLog) -> Iterator[Answered]:
    """The answers that a log holds, in the order of the questions; those it has not are left out."""
    known = known_items(found, log)
    starts = np.searchsorted(log.item, np.arange(log.item.max(initial=-1) + 2))
    for question in found.paper.questions:
        if question.item not in known:
            continue
        rows = slice(int(starts[question.item]), int(starts[question.item + 1]))
        if found.paper.task.written:
            yield _written(found, question, log.token_id[rows].tolist())
        else:
            yield _chosen(found, question, log, rows)


def _written(found: Exam, question: Question, ids: list[int]) -> Answered:
    text = text_of(found.tokenizer, ids, found.paper.task.stop, found.ends)
    return Answered(question.item, question.group, text=text, wanted=question.wanted)


def _chosen(found: Exam, question: Question, log: TokenLog, rows: slice) -> Answered:
    branch, nats, ids = log.branch[rows], log.nats[rows].astype(np.float64), log.token_id[rows]
    count = len(question.endings)
    own = [branch == at for at in range(count)]
    greedy = None
    if found.itself and count == 1:
        greedy = bool(np.array_equal(ids[own[0]], ids[branch == ITSELF]))
    return Answered(
        question.item,
        question.group,
        nats=tuple(math.fsum(nats[one].tolist()) for one in own),
        tokens=tuple(int(one.sum()) for one in own),
        options=question.options,
        right=question.right,
        greedy=greedy,
    )
