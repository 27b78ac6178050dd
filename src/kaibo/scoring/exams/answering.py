"""Packs and a model in, the nats of every scored token out; and the same without trees for models that take none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from kaibo.errors import FormatError
from kaibo.llama import Causal
from kaibo.scoring.exams.requests import Request, Scored
from kaibo.scoring.exams.trees import Among, Pack, packs, shared_prefix, together

CHUNK_VALUES = 1 << 22
"""Logits that are there at once, at most: 16 MiB in float32."""

LENGTH_BOUND = ("dynamic", "longrope")
"""Ways to scale positions that turn all tokens by the length of the whole text: no two lengths may share a cache."""


def bound_to_length(config: Mapping[str, Any], longest: int) -> bool:
    """Whether attention windows are shorter than `longest` tokens, or positions turn by the whole text's length."""
    scaling = config.get("rope_scaling") or config.get("rope_parameters") or {}
    kind = scaling.get("rope_type") or scaling.get("type") if isinstance(scaling, dict) else None
    window = config.get("sliding_window")
    return kind in LENGTH_BOUND or (isinstance(window, int) and window < longest)


@torch.inference_mode()
def takes_trees(model: Causal, longest: int) -> bool:
    """Whether a model reads trees behind a cache as it reads their branches one by one: it is tried.

    False for windows of attention shorter than what is read and for positions that depend on the whole length.
    """
    if bound_to_length(model.config, longest):
        return False
    try:
        return _agree(model)
    except (TypeError, ValueError, RuntimeError, AttributeError, KeyError, IndexError, NotImplementedError):
        return False


def _agree(model: Causal) -> bool:
    """A prefix of three tokens and two branches of two, both ways; as close as the type's rounding allows."""
    count = min(model.vocabulary, 64)
    rows = [np.array(one, np.int64) % count for one in ([3, 11, 7, 5, 9, 1], [3, 11, 7, 2, 8, 1])]
    none = np.zeros((3, 2), np.int64)
    asked = [Request(0, branch, ids, 3, none, none) for branch, ids in enumerate(rows)]
    (pack,) = packs(asked, 2, 64)
    prefix = _Prefix(model, rows[0][:2])
    trees = torch.cat([_logits(model, prefix.states(pack)[torch.from_numpy(one)]) for one in pack.places])
    plain = torch.cat([_logits(model, one) for one in _plain_states(model, asked)])
    loose = 2e-5 if trees.dtype == torch.float32 else 0.05
    return bool((trees - plain).abs().max() <= loose * max(1.0, float(plain.abs().max())))


def answers(
    model: Causal,
    requests: Sequence[Request],
    batch: int,
    known: frozenset[int] = frozenset(),
    among: Among = together,
) -> Iterator[list[Scored]]:
    """The requests pack by pack; a pack whose items are all `known` is passed over (an empty list).

    Of all packs, given by their items, those are read that `among` names by their places. Raises FormatError where the
    model's logits are not numbers, UsageError for ids that it has no row for.
    """
    for one in requests:
        model.check_ids(torch.from_numpy(one.ids))
    if not requests:
        return
    if takes_trees(model, max(one.read for one in requests)):
        shared = shared_prefix(requests)
        prefix: _Prefix | None = None
        several = list(packs(requests, shared, batch))
        chosen = among([[one.item for one in pack.requests] for pack in several])
        for place, pack in enumerate(several):
            if place not in chosen or all(one.item in known for one in pack.requests):
                yield []
                continue
            prefix = prefix or _Prefix(model, requests[0].ids[:shared])
            states = prefix.states(pack)
            yield _checked(model, _scored(model, states, pack.requests, pack.places))
    else:
        alike = list(_alike_rows(requests, batch))
        chosen = among([[one.item for one in rows] for rows in alike])
        for place, rows in enumerate(alike):
            if place not in chosen or all(one.item in known for one in rows):
                yield []
                continue
            yield _checked(model, _scored_rows(model, rows))


class _Prefix:
    """What all requests begin with, read once and kept."""

    def __init__(self, model: Causal, ids: NDArray[np.int64]) -> None:
        self._model, self.length = model, len(ids)
        self._cache: Any = None
        if self.length:
            self._cache = model.runs.new_cache(1, self.length + 1024)
            self._read(ids)

    @torch.inference_mode()
    def _read(self, ids: NDArray[np.int64]) -> None:
        self._model.runs.states(torch.from_numpy(ids)[None].to(self._model.device), cache=self._cache)

    @torch.inference_mode()
    def states(self, pack: Pack) -> torch.Tensor:
        """(nodes, …) states of a pack's nodes; the cache is as before."""
        device = self._model.device
        if self._cache is not None:
            self._cache.crop(self.length)
        found: torch.Tensor = self._model.runs.states(
            torch.from_numpy(pack.ids)[None].to(device),
            positions=torch.from_numpy(pack.depths + self.length)[None].to(device),
            mask=torch.from_numpy(pack.mask(self.length))[None, None].to(device),
            cache=self._cache,
        )
        rows: torch.Tensor = found[0]
        return rows


def _alike_rows(requests: Sequence[Request], batch: int) -> Iterator[list[Request]]:
    """Requests of one length together: no padding, and so no model that minds it."""
    ordered = sorted(enumerate(requests), key=lambda one: (-one[1].read, one[0]))
    held: list[Request] = []
    for _, one in ordered:
        if held and (one.read != held[0].read or (len(held) + 1) * one.read > batch):
            yield held
            held = []
        held.append(one)
    if held:
        yield held


@torch.inference_mode()
def _plain_states(model: Causal, rows: Sequence[Request]) -> list[torch.Tensor]:
    """The states after which each request's scored tokens come; rows of one length."""
    ids = torch.from_numpy(np.stack([one.ids[:-1] for one in rows])).to(model.device)
    states = model.runs.states(ids)
    return [states[at, one.first - 1 :] for at, one in enumerate(rows)]


@torch.inference_mode()
def _scored_rows(model: Causal, rows: Sequence[Request]) -> list[Scored]:
    states = _plain_states(model, rows)
    ends = np.cumsum([one.scored for one in rows])
    places = [np.arange(end - one.scored, end) for one, end in zip(rows, ends, strict=True)]
    return _scored(model, torch.cat(states), rows, places)


@torch.inference_mode()
def _scored(
    model: Causal, states: torch.Tensor, requests: Sequence[Request], places: Sequence[NDArray[np.int64]]
) -> list[Scored]:
    """Logits are made once for each state that something follows, a few rows at a time."""
    flat = np.concatenate(places)
    targets = np.concatenate([one.ids[one.first :] for one in requests])
    rows, back = np.unique(flat, return_inverse=True)
    nats = np.empty(len(flat), np.float32)
    best, best_nats = np.empty(len(rows), np.int64), np.empty(len(rows), np.float32)
    step = max(16, CHUNK_VALUES // model.vocabulary)
    wanted = states[torch.from_numpy(rows).to(states.device)]
    for begin in range(0, len(rows), step):
        logits = _logits(model, wanted[begin : begin + step])
        total = logits.logsumexp(1)
        top = logits.max(1)
        best[begin : begin + step] = top.indices.cpu().numpy()
        best_nats[begin : begin + step] = (total - top.values).cpu().numpy()
        here = np.flatnonzero((back >= begin) & (back < begin + step))
        at = torch.from_numpy(back[here] - begin).to(logits.device)
        nats[here] = (total[at] - logits[at, torch.from_numpy(targets[here]).to(logits.device)]).cpu().numpy()
    cuts = np.cumsum([one.scored for one in requests])[:-1]
    parts = zip(np.split(nats, cuts), np.split(best[back], cuts), np.split(best_nats[back], cuts), strict=True)
    return [Scored(one, *part) for one, part in zip(requests, parts, strict=True)]


def _logits(model: Causal, states: torch.Tensor) -> torch.Tensor:
    found: torch.Tensor = model.runs.logits(states).float()
    return found


def _checked(model: Causal, found: list[Scored]) -> list[Scored]:
    if not all(np.isfinite(one.nats).all() for one in found):
        raise FormatError("gives logits that are not numbers; it is not evaluated", file=model.address)
    return found
