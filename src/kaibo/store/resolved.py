"""Resolved bins as rows of the table `resolved`, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from kaibo.store.columns import slices, table_of
from kaibo.store.schemas import RESOLVED
from kaibo.vocabulary.counts.resolved import Resolved

if TYPE_CHECKING:
    import pyarrow as pa


def to_rows(resolved: Mapping[tuple[str, int], Resolved]) -> pa.Table:
    """A row for each (content, upper half)."""
    rows = [
        {"content": content, "upper": upper, "lows": one.lows, "counts": one.counts}
        for (content, upper), one in resolved.items()
    ]
    return table_of(rows, RESOLVED)


def from_rows(table: pa.Table) -> dict[tuple[str, int], Resolved]:
    """The resolved bins by content and upper half."""
    keys = zip(table["content"].to_pylist(), table["upper"].to_pylist(), strict=True)
    lists = zip(slices(table["lows"], "uint32"), slices(table["counts"], "uint64"), strict=True)
    return {key: Resolved(key[1], lows, counts) for key, (lows, counts) in zip(keys, lists, strict=True)}
