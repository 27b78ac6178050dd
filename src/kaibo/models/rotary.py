"""The two orders of the rows of q and k under rotary positions, and how a model's order is told from its weights.

RoPE turns pairs of values of a head. Hugging Face pairs value i with i + size/2 ("half"), the files of Meta and
Mistral pair 2i with 2i + 1 ("interleaved"); the conversion only permutes the rows of q and k (transformers,
`convert_llama_weights_to_hf.py`, `permute`).

    interleaved   a0 b0 a1 b1 a2 b2        half   a0 a1 a2 b0 b1 b2
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kaibo.errors import KaiboError
from kaibo.vocabulary import Tensor, widen

Rows = NDArray[np.int64]

COLUMNS = 256
"""Values of each row that are looked at to tell the orders apart."""

CLOSER = 0.25
"""How much smaller ‖Δ‖² must be in the other order to be believed: in the wrong one it is about 2‖w‖²."""


SAME = "same"


def to_half(heads: int, head_size: int, rotary: int) -> Rows:
    """Which row of an interleaved matrix is each row of the half-split one; the rest of a head stays where it is.

    >>> to_half(1, 6, 6).tolist()
    [0, 2, 4, 1, 3, 5]
    """
    head = np.arange(head_size, dtype=np.int64)
    head[:rotary] = np.arange(rotary).reshape(-1, 2).T.reshape(-1)
    return (np.arange(heads, dtype=np.int64)[:, None] * head_size + head).reshape(-1)


def to_interleaved(heads: int, head_size: int, rotary: int) -> Rows:
    """The other way round: `to_half` undone.

    >>> to_half(2, 6, 4)[to_interleaved(2, 6, 4)].tolist() == list(range(12))
    True
    """
    return np.argsort(to_half(heads, head_size, rotary))


def order_by_weights(base: Tensor, tuned: Tensor, head_size: int, rotary: int) -> str:
    """The order that `tuned` is in if `base` is in the other one: `interleaved`, `half`, or `same` for one order.

    One head is read, and of each of its rows the first `COLUMNS` values. "" where the weights do not tell (they are
    no relatives) or cannot be read.
    """
    try:
        before, after = _head(base, head_size), _head(tuned, head_size)
    except KaiboError:
        return ""  # the pass will meet the same fault and say it
    distances = {
        SAME: _distance(before, after),
        "interleaved": _distance(before, after[to_half(1, head_size, rotary)]),
        "half": _distance(before, after[to_interleaved(1, head_size, rotary)]),
    }
    best, *others = sorted(distances, key=lambda order: distances[order])
    if best == SAME:  # of heads so small that both conversions are one permutation, too
        return SAME if distances[SAME] < CLOSER * distances[others[0]] else ""
    return best if distances[best] < CLOSER * distances[SAME] else ""


def _head(tensor: Tensor, head_size: int) -> NDArray[np.float64]:
    long = tensor.size // tensor.shape[0]
    seen = min(long, COLUMNS)
    room = np.empty(seen * tensor.dtype.itemsize, np.uint8)
    rows = [
        widen(tensor.dtype.name, chunk)
        for row in range(head_size)
        for chunk in tensor.chunks(room, row * long, row * long + seen)
    ]
    return np.stack(rows)


def _distance(before: NDArray[np.float64], after: NDArray[np.float64]) -> float:
    with np.errstate(invalid="ignore", over="ignore"):
        distance = float(np.square(after - before).sum())
    return distance if np.isfinite(distance) else np.inf
