"""Two models in; which tensor of the one meets which of the other, and what meets nothing, out. Never fails."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from kaibo.models.rows import chosen_rows
from kaibo.vocabulary import Model, Tensor

TABLES = frozenset({"embedding", "head"})
"""Roles of the tensors that hold a row for each token."""

Vocabulary = Mapping[str, int]
Index = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Pair:
    """Two tensors of one shape that mean the same; of tables with other vocabularies the rows they share."""

    base: Tensor
    tuned: Tensor


@dataclass(frozen=True)
class Unmatched:
    """What has nothing to be compared with: a tensor, or rows of one.

    `side` is `base` or `tuned`, `n` how many values are left out and `share` their part of that model's weights.
    """

    side: str
    tensor: str
    shape: tuple[int, ...]
    n: int
    share: float
    why: str


@dataclass(frozen=True)
class Pairing:
    """All pairs of two models in the order of their names, what is unmatched, and how tables were aligned."""

    pairs: tuple[Pair, ...]
    unmatched: tuple[Unmatched, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Lone:
    side: str
    tensor: Tensor
    n: int
    why: str


def pair_models(
    base: Model, tuned: Model, vocabularies: tuple[Vocabulary | None, Vocabulary | None] = (None, None)
) -> Pairing:
    """The tensors of two models by canonical name.

    `vocabularies` are (token → row) of base and tuned, None where there is no tokenizer. Embeddings and heads are
    aligned by token where both are known, else by row, which a note says. Nothing is cropped in silence: rows and
    tensors left over are listed.
    """
    others = {tensor.canonical: tensor for tensor in tuned.tensors}
    pairs: list[Pair] = []
    lone: list[_Lone] = []
    notes: dict[str, None] = {}
    for tensor in base.tensors:
        other = others.pop(tensor.canonical, None)
        if other is None:
            lone.append(_Lone("base", tensor, tensor.size, _absent(tensor, tuned)))
            continue
        pair, why = _pair(tensor, other, vocabularies)
        if pair is None:
            lone += [_Lone("base", tensor, tensor.size, why), _Lone("tuned", other, other.size, why)]
            continue
        pairs.append(pair)
        lone += _left_over(pair, tensor, other)
        if why:
            notes[f"{tensor.canonical}: {why}"] = None
    lone += [_Lone("tuned", tensor, tensor.size, _absent(tensor, base)) for tensor in others.values()]
    return Pairing(tuple(pairs), tuple(_listed(lone, base, tuned)), tuple(notes))


def _absent(tensor: Tensor, other: Model) -> str:
    if tensor.role == "head" and other.config.get("tie_word_embeddings", False) is True:
        return "the other model uses its embedding again (tied)"
    return "the other model has no such tensor"


def _pair(
    base: Tensor, tuned: Tensor, vocabularies: tuple[Vocabulary | None, Vocabulary | None]
) -> tuple[Pair | None, str]:
    """The pair and how its rows were aligned; no pair and why."""
    if not (base.dtype.measurable and tuned.dtype.measurable):
        return None, f"{base.dtype.name} and {tuned.dtype.name} are not both weights"
    if base.role in TABLES and len(base.shape) == len(tuned.shape) == 2 and base.shape[1:] == tuned.shape[1:]:
        return _aligned(base, tuned, vocabularies)
    if base.shape != tuned.shape:
        return None, f"shape {_shape(base)} against {_shape(tuned)}"
    return Pair(base, tuned), ""


def _shape(tensor: Tensor) -> str:
    return "×".join(map(str, tensor.shape)) or "one number"


def _aligned(
    base: Tensor, tuned: Tensor, vocabularies: tuple[Vocabulary | None, Vocabulary | None]
) -> tuple[Pair | None, str]:
    before, after = vocabularies
    if before is None or after is None:
        if base.shape == tuned.shape:
            return Pair(base, tuned), ""
        rows = np.arange(min(base.shape[0], tuned.shape[0]))
        how = f"aligned by row, {rows.size} of {base.shape[0]} and {tuned.shape[0]}, for want of two tokenizers"
        return _rows(base, tuned, rows, rows, how)
    if base.shape == tuned.shape and before == after:
        return Pair(base, tuned), ""
    rows, others = common_rows(before, after, base.shape[0], tuned.shape[0])
    if base.shape == tuned.shape and rows.size == base.shape[0] and np.array_equal(rows, others):
        return Pair(base, tuned), ""
    how = f"aligned by token, {rows.size} rows of {base.shape[0]} and {tuned.shape[0]}"
    moved = int((rows != others).sum())
    return _rows(base, tuned, rows, others, f"{how}, {moved} of them re-numbered" if moved else how)


def _rows(base: Tensor, tuned: Tensor, rows: Index, others: Index, how: str) -> tuple[Pair | None, str]:
    if rows.size == 0:
        return None, "the two have no row in common"
    return Pair(chosen_rows(base, rows), chosen_rows(tuned, others)), how


def common_rows(before: Vocabulary, after: Vocabulary, base_rows: int, tuned_rows: int) -> tuple[Index, Index]:
    """The rows of base and tuned that stand for the same token, in the order of the base.

    Rows that no token names on either side (padding) meet where their numbers agree.

    >>> [rows.tolist() for rows in common_rows({"a": 0, "b": 1}, {"b": 0, "c": 1}, 3, 3)]
    [[1, 2], [0, 2]]
    """
    found = {row: after[token] for token, row in before.items() if token in after}
    found = {row: other for row, other in found.items() if 0 <= row < base_rows and 0 <= other < tuned_rows}
    named = set(before.values()) | set(after.values())
    found |= {row: row for row in range(min(base_rows, tuned_rows)) if row not in named}
    rows = np.array(sorted(found), dtype=np.int64)
    return rows, np.array([found[int(row)] for row in rows], dtype=np.int64)


def _left_over(pair: Pair, base: Tensor, tuned: Tensor) -> Iterable[_Lone]:
    for side, kept, whole in (("base", pair.base, base), ("tuned", pair.tuned, tuned)):
        if kept.size < whole.size:
            rows = whole.shape[0] - kept.shape[0]
            yield _Lone(side, whole, rows * prod(whole.shape[1:]), f"{rows} rows that the other model lacks")


def _listed(lone: Iterable[_Lone], base: Model, tuned: Model) -> Iterable[Unmatched]:
    totals = {side: sum(tensor.size for tensor in model.tensors) for side, model in (("base", base), ("tuned", tuned))}
    for one in lone:
        share = one.n / totals[one.side] if totals[one.side] else 0.0
        yield Unmatched(one.side, one.tensor.canonical, one.tensor.shape, one.n, share, one.why)
