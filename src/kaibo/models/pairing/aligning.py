"""Tables that hold a row for each token: which rows of two of them stand for the same token."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kaibo.words import Note, combined, note

Vocabulary = Mapping[str, int]
Vocabularies = tuple[Vocabulary | None, Vocabulary | None]
Index = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Aligned:
    """The rows of base and tuned that meet, in the order of the base; `how` says so, "" where all meet in order.

    `padding` counts, of base and tuned, the rows left over that no token names.
    """

    rows: Index
    others: Index
    how: str
    padding: tuple[int, int] = (0, 0)


def aligned(base_rows: int, tuned_rows: int, vocabularies: Vocabularies) -> Aligned:
    """Rows by token string where both vocabularies are known, else by number, which `how` says."""
    before, after = vocabularies
    if before is None or after is None:
        rows = np.arange(min(base_rows, tuned_rows), dtype=np.int64)
        how = note("diff_rows", rows=rows.size, base=base_rows, tuned=tuned_rows)
        return Aligned(rows, rows, "" if base_rows == tuned_rows else how)
    rows, others = common_rows(before, after, base_rows, tuned_rows)
    if rows.size == base_rows == tuned_rows and np.array_equal(rows, others):
        return Aligned(rows, others, combined(_beyond(before, after, base_rows, tuned_rows)))
    unnamed = [_unnamed(vocabulary, size) for vocabulary, size in ((before, base_rows), (after, tuned_rows))]
    moved = int((rows != others).sum())
    key = "diff_tokens_moved" if moved else "diff_tokens"
    said = [note(key, rows=rows.size, base=base_rows, tuned=tuned_rows, moved=moved)]
    met = int(np.isin(rows, unnamed[0]).sum())
    said += [note("padding_met", count=met)] if met else []
    said += _beyond(before, after, base_rows, tuned_rows)
    left = int((~np.isin(unnamed[0], rows)).sum()), int((~np.isin(unnamed[1], others)).sum())
    return Aligned(rows, others, combined(said), left)


def _unnamed(vocabulary: Vocabulary, rows: int) -> Index:
    named = np.zeros(rows, dtype=bool)
    ids = np.fromiter(vocabulary.values(), dtype=np.int64, count=len(vocabulary))
    named[ids[(ids >= 0) & (ids < rows)]] = True
    return np.flatnonzero(~named)


def _beyond(before: Vocabulary, after: Vocabulary, base_rows: int, tuned_rows: int) -> Iterator[Note]:
    """Tokens whose number is past the end of their table: no such row can ever be looked up."""
    for side, vocabulary, rows in (("base", before, base_rows), ("tuned", after, tuned_rows)):
        count = sum(row >= rows for row in vocabulary.values())
        if count:
            yield note(f"tokens_beyond_{side}", count=count)


def common_rows(before: Vocabulary, after: Vocabulary, base_rows: int, tuned_rows: int) -> tuple[Index, Index]:
    """The rows of base and tuned that stand for the same token, in the order of the base; none twice.

    Rows that no token names on either side (padding) meet where their numbers agree. Where several tokens share a
    row, the first token that both have decides.

    >>> [rows.tolist() for rows in common_rows({"a": 0, "b": 1}, {"b": 0, "c": 1}, 3, 3)]
    [[1, 2], [0, 2]]
    """
    found: dict[int, int] = {}
    taken: set[int] = set()
    for token, row in before.items():
        other = after.get(token, -1)
        if 0 <= row < base_rows and 0 <= other < tuned_rows and row not in found and other not in taken:
            found[row] = other
            taken.add(other)
    named = set(before.values()) | set(after.values())
    found |= {row: row for row in range(min(base_rows, tuned_rows)) if row not in named}
    rows = np.array(sorted(found), dtype=np.int64)
    return rows, np.array([found[int(row)] for row in rows], dtype=np.int64)
