"""A `Census` as a row of the table `census`, and back, to the last bit."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from kaibo.store.columns import slices, table_of
from kaibo.store.schemas import CENSUS, CENSUS_VERSION
from kaibo.vocabulary import Census

if TYPE_CHECKING:
    import pyarrow as pa

MEASURE = "census"
_SCALARS = ("dtype", "minimum", "maximum", "nan", "positive_infinity", "negative_infinity")


def to_table(censuses: Iterable[tuple[str, Census]]) -> pa.Table:
    """Rows for (content hash, census) pairs, under the current version of the census."""
    return table_of([_row(content, census) for content, census in censuses], CENSUS)


def _row(content: str, census: Census) -> dict[str, Any]:
    return {
        "content": content,
        "measure": MEASURE,
        "version": CENSUS_VERSION,
        "settings": "",
        "n": census.n,
        "keys": census.keys,
        "counts": census.counts,
        "lo": census.lo,
        "lo2_high": census.lo2[:, 0],
        "lo2_low": census.lo2[:, 1],
        "digits64": census.digits64,
        **{name: getattr(census, name) for name in _SCALARS},
    }


def from_table(table: pa.Table) -> Iterator[tuple[str, Census]]:
    """The (content hash, census) pairs of the rows that the current version of the census wrote."""
    scalars = table.select([*CENSUS.identity, *_SCALARS, "digits64"]).to_pylist()
    keys = list(slices(table["keys"], "uint32"))
    counts, lo, high, low = (list(slices(table[name], "uint64")) for name in ("counts", "lo", "lo2_high", "lo2_low"))
    for at, row in enumerate(scalars):
        if (row["measure"], row["version"], row["settings"]) != (MEASURE, CENSUS_VERSION, ""):
            continue
        yield (
            row["content"],
            Census(
                keys=keys[at],
                counts=counts[at],
                lo=lo[at],
                lo2=np.stack([high[at], low[at]], axis=1),
                digits64=tuple(row["digits64"]),
                **{name: row[name] for name in _SCALARS},
            ),
        )


def fingerprint(census: Census) -> str:
    """32 hex digits that two censuses share when they are equal to the last bit."""
    scalars = [getattr(census, name) for name in (*_SCALARS, "digits64")]
    digest = hashlib.blake2b(repr(scalars).encode(), digest_size=16)
    for array in (census.keys, census.counts, census.lo, census.lo2):
        digest.update(np.ascontiguousarray(array).tobytes() + b"|")
    return digest.hexdigest()
