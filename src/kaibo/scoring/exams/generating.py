"""Answers that a model writes itself, greedily and side by side; what all prompts begin with is read once.

shared prefix ──▶ cache, repeated ─┬─ · · a a a ▸ ▸ ▸      prompts of like length together, filled up on the left;
                                   ├─ · b b b b ▸          rows that have ended are let go
                                   └─ c c c c c ▸ ▸
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from kaibo.errors import FormatError
from kaibo.llama import Causal, Kept, Written
from kaibo.scoring.exams.answering import bound_to_length
from kaibo.scoring.exams.prompts import Answer, Prompted
from kaibo.scoring.exams.trees import Among, together

ROWS = 32
"""Answers that are written side by side, at most."""

HELD = 16
"""Tokens whose keys and values are kept for them at once, at most: so many times what is read at a time."""

Way = Literal["filled", "alike", "alone"]
"""How a model takes several prompts at once: of any length, of one length only, or not at all."""


def write_answers(
    model: Causal,
    prompts: Sequence[Prompted],
    max_tokens: int,
    stop: Sequence[str],
    known: frozenset[int] = frozenset(),
    batch: int = 512,
    among: Among = together,
) -> Iterator[list[Answer]]:
    """The answers to all prompts whose item is not `known`, as they end: a list a token, many of them empty.

    Prompts stand together whether they are known or not, so that an interrupted run ends with the same numbers; where
    all of a group are known it is passed over, and so is one that `among` does not name by its place. Raises
    FormatError where the model's logits are not numbers, UsageError for ids that it has no row for.
    """
    for one in prompts:
        model.check_ids(torch.from_numpy(one.ids))
    if all(one.item in known for one in prompts):
        return
    way = way_of(model, max(len(one.ids) for one in prompts) + max_tokens)
    shared = 0 if way == "alone" else _shared([one.ids for one in prompts])
    prefix = _prefix(model, prompts[0].ids[:shared])
    groups = list(_groups(prompts, max_tokens, batch, way))
    chosen = among([[one.item for one in rows] for rows in groups])
    for place, rows in enumerate(groups):
        if place in chosen and not all(one.item in known for one in rows):
            for answers in _Group(model, rows, prefix, shared, max_tokens, stop).answers():
                yield [one for one in answers if one.prompted.item not in known]


def way_of(model: Causal, longest: int) -> Way:
    """How a model takes several prompts of up to so many tokens, the answers included: it is tried."""
    try:
        if not bound_to_length(model.config, longest) and _agree(model, (3, 1)):
            return "filled"
        return "alike" if _agree(model, (2, 2)) else "alone"
    except (TypeError, ValueError, RuntimeError, AttributeError, KeyError, IndexError, NotImplementedError):
        return "alone"


def _agree(model: Causal, lengths: Sequence[int]) -> bool:
    """Two prompts behind a shared prefix, together and each alone: the same tokens, as likely up to rounding."""
    ids = [
        np.array([3, 11, *([7, 5, 9][:length]), at], np.int64) % model.vocabulary for at, length in enumerate(lengths)
    ]
    prompts = [Prompted(at, one) for at, one in enumerate(ids)]
    together = _Group(model, prompts, _prefix(model, ids[0][:2]), 2, 2, ())
    found = {one.prompted.item: one for answers in together.answers() for one in answers}
    for prompt in prompts:
        ((alone,),) = [answers for answers in _Group(model, [prompt], None, 0, 2, ()).answers() if answers]
        other = found[prompt.item]
        loose = 1e-4 if next(model.runs.model.parameters()).dtype == torch.float32 else 0.1
        if len(alone.nats) != len(other.nats) or not np.allclose(alone.nats, other.nats, rtol=loose, atol=loose):
            return False
    return True


def _groups(prompts: Sequence[Prompted], max_tokens: int, batch: int, way: Way) -> Iterator[list[Prompted]]:
    """Prompts of like length together, the longest first."""
    held: list[Prompted] = []
    for one in sorted(prompts, key=lambda one: (-len(one.ids), one.item)):
        longest = len(held[0].ids) if held else 0
        full = len(held) == ROWS or (len(held) + 1) * (longest + max_tokens) > HELD * batch
        if held and (full or way == "alone" or (way == "alike" and len(one.ids) != longest)):
            yield held
            held = []
        held.append(one)
    if held:
        yield held


def _shared(rows: Sequence[NDArray[np.int64]]) -> int:
    """How many ids all prompts begin with, at least one of each left to be read."""
    longest = min(len(one) for one in rows) - 1
    for one in rows[1:]:
        differ = np.flatnonzero(one[:longest] != rows[0][:longest])
        longest = int(differ[0]) if len(differ) else longest
    return longest


@torch.inference_mode()
def _prefix(model: Causal, ids: NDArray[np.int64]) -> Kept | None:
    """What the model keeps of the shared prefix; None where there is none."""
    if not len(ids):
        return None
    cache = model.runs.new_cache(1, len(ids))
    model.runs.states(torch.from_numpy(ids)[None].to(model.device), cache=cache)
    return cache


@dataclass
class _Row:
    """An answer as it grows."""

    prompted: Prompted
    written: Written
    ids: list[int] = field(default_factory=list)
    nats: list[float] = field(default_factory=list)

    def answer(self) -> Answer:
        return Answer(self.prompted, np.array(self.ids, np.int64), np.array(self.nats, np.float32))


class _Group:
    """Prompts that are answered together, behind a prefix that they share.

    `filled` says how many places each row's prompt was filled up by; where none was, the model needs neither mask nor
    positions.
    """

    def __init__(
        self, model: Causal, prompts: Sequence[Prompted], prefix: Kept | None, shared: int, count: int,
        stop: Sequence[str],
    ) -> None:  # fmt: skip
        self._model, self._shared, self._count, self._stop = model, shared, count, stop
        lengths = np.array([len(one.ids) - shared for one in prompts])
        self._width = int(lengths.max())
        self._filled = self._width - lengths
        self._prompts = prompts
        room = self._width + count
        self._cache: Any
        if prefix is None:
            self._cache = model.runs.new_cache(len(prompts), room)
        else:
            self._cache = prefix.repeated(len(prompts), room)

    def answers(self) -> Iterator[list[Answer]]:
        """What has ended with each token that all rows have written."""
        going = [_Row(one, Written(self._model.tokenizer if self._stop else None, self._stop)) for one in self._prompts]
        places = list(range(len(going)))  # the row of the cache that each of them has
        ids = np.zeros((len(going), self._width), np.int64)
        for place, one in enumerate(self._prompts):
            ids[place, self._filled[place] :] = one.ids[self._shared :]
        for step in range(self._count):
            tokens, nats = self._next(ids, step)
            ended = [self._ends(row, int(tokens[at]), float(nats[at])) for row, at in zip(going, places, strict=True)]
            yield [row.answer() for row, end in zip(going, ended, strict=True) if end]
            places = [at for at, end in zip(places, ended, strict=True) if not end]
            going = [row for row, end in zip(going, ended, strict=True) if not end]
            if not going:
                return
            ids = tokens[:, None]
            if 2 * len(going) <= len(ids):
                ids, places = self._let_go(ids, places)

    def _ends(self, row: _Row, token: int, nats: float) -> bool:
        if not np.isfinite(nats):
            raise FormatError("gives logits that are not numbers; it is not evaluated", file=self._model.address)
        row.ids.append(token)
        row.nats.append(nats)
        return token in self._model.ends or row.written.add(token) or len(row.ids) == self._count

    @torch.inference_mode()
    def _next(self, ids: NDArray[np.int64], step: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The most likely next token of every row, and −ln p of each; `ids` (rows, new) are read first."""
        runs, device = self._model.runs, self._model.device
        given: dict[str, Any] = {}
        if self._filled.any():
            first = 0 if step == 0 else self._width + step - 1
            places = np.arange(first, first + ids.shape[1])
            depths = np.maximum(places - self._filled[:, None], 0) + self._shared
            seen = np.arange(first + ids.shape[1]) >= self._filled[:, None]
            seen = np.concatenate([np.ones((len(ids), self._shared), bool), seen], axis=1)
            given = {
                "positions": torch.from_numpy(depths).to(device),
                "mask": torch.from_numpy(seen).to(device),
            }
        states = runs.states(torch.from_numpy(ids).to(device), cache=self._cache, **given)[:, -1]
        logits = runs.logits(states).float()
        top = logits.max(1)
        nats = (logits.logsumexp(1) - top.values).cpu().numpy()
        return top.indices.cpu().numpy(), nats

    @torch.inference_mode()
    def _let_go(self, ids: NDArray[np.int64], places: list[int]) -> tuple[NDArray[np.int64], list[int]]:
        """Only the rows at these places are kept."""
        self._cache.select(torch.tensor(places, device=self._model.device))
        self._filled = self._filled[places]
        return ids[places], list(range(len(places)))
