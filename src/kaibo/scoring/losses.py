"""Nats of the scored tokens of one batch: states in, a few rows of logits at a time, float32 out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from kaibo.llama.loss import nats
from kaibo.scoring.memory import LOGITS_AT_ONCE

if TYPE_CHECKING:
    from kaibo.scoring.causal import Causal


@torch.inference_mode()
def batch_nats(model: Causal, rows: Sequence[NDArray[np.int64]], scored: Sequence[slice]) -> list[NDArray[np.float32]]:
    """−ln p of the scored tokens of each row, given all before them.

    `rows` are ids, padded here on the right, where padding changes nothing before it; `scored` are the places in
    each row, from 1 on.
    """
    longest = max(len(row) for row in rows)
    ids = torch.zeros((len(rows), longest), dtype=torch.long)
    for at, row in enumerate(rows):
        ids[at, : len(row)] = torch.from_numpy(row)
    states = model.states(ids.to(model.device))
    before = torch.cat([states[at, one.start - 1 : one.stop - 1] for at, one in enumerate(scored)])
    targets = torch.cat([ids[at, one] for at, one in enumerate(scored)]).to(states.device)
    found = nats_of(model, before, targets).cpu().numpy()
    ends = np.cumsum([one.stop - one.start for one in scored])
    return np.split(found, ends[:-1])


@torch.inference_mode()
def nats_of(model: Causal, states: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """−ln p(target) after each state: (n, hidden) and (n,) → (n,) float32, `LOGITS_AT_ONCE` logits at a time."""
    if model.head is not None:
        head, bias = model.head
        return nats(states, head, targets, bias)
    step = max(16, LOGITS_AT_ONCE // model.vocabulary)
    found = states.new_empty(len(targets), dtype=torch.float32)
    for begin in range(0, len(targets), step):
        logits = model.logits(states[begin : begin + step]).float()
        wanted = logits.gather(1, targets[begin : begin + step, None])[:, 0]
        found[begin : begin + step] = logits.logsumexp(1) - wanted
    return found
