"""The table of tokens against tokenizer and config: rows that were never trained, tokens without a row."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaibo.chapters.check.rows import Fault, fault
from kaibo.errors import escaped

FREE = re.compile(r"reserved|unused|extra_id|placeholder|dummy|pad|^<0x[0-9A-Fa-f]{2}>$|^madeup", re.IGNORECASE)
"""Names of tokens that tokenizers keep free, and of the bytes that few texts need."""

CLOSE, CROWD = 1e-6, 16
"""Norms this close (relative) are a crowd where more rows have them than this and than chance would bring together."""

AROUND = (1e-2, 1e-3, 1e-4)
"""Widths over which the density of norms is looked at: some models keep all rows within 0.03 % of one norm."""

IDS = ("bos_token_id", "eos_token_id", "pad_token_id", "unk_token_id", "decoder_start_token_id", "sep_token_id")
MOST = 8


@dataclass(frozen=True, eq=False)
class Table:
    """What was looked at of a table of tokens: numbers of rows, Σx² of each, a second sum that tells rows apart.

    `rows` is how many rows the table has.
    """

    name: str
    rows: int
    ids: NDArray[np.int64]
    squares: NDArray[np.float64]
    mixed: NDArray[np.float64]


def untrained_rows(
    table: Table, tokens: Mapping[int, str] | None, template: str = ""
) -> tuple[list[Fault], list[Fault]]:
    """(faults, remarks): rows that are equal, zero, or of one norm to the last digits, as no training leaves them.

    Rows that no token has and tokens whose names say that they are kept free are remarks, but where the chat template
    writes them. `tokens` is row → token.
    """
    found, remarks = [], []
    for how, places in _groups(table):
        ids = table.ids[places]
        named = [int(n) for n in ids] if tokens is None else [int(n) for n in ids if int(n) in tokens]
        used = [n for n in named if tokens is None or tokens[n] in template or not FREE.search(tokens[n])]
        zero_pad = how == "zero" and len(ids) == 1
        free = len(ids) - len(used)
        said = {"looked": f"{len(table.ids):,}", "rows": f"{table.rows:,}"}
        if len(used) > 1 or (used and free and not zero_pad):
            listed = _listed(used, tokens)
            found.append(fault(f"untrained-rows-{how}", table.name, count=f"{len(used):,}", listed=listed, **said))
        if free and not zero_pad:
            remarks.append(fault("free-rows", table.name, count=f"{free:,}", **said))
    return found, remarks


def _groups(table: Table) -> Iterator[tuple[str, NDArray[np.intp]]]:
    """Rows that belong together: all zero, equal, of one norm."""
    zero = table.squares == 0
    if zero.any():
        yield "zero", np.flatnonzero(zero)
    _, which, counts = np.unique(
        np.stack([table.squares, table.mixed]), axis=1, return_inverse=True, return_counts=True
    )
    equal = (counts[which.reshape(-1)] > 1) & ~zero
    if equal.any():
        yield "equal", np.flatnonzero(equal)
    crowded = _crowd(table.squares, ~zero & ~equal & np.isfinite(table.squares))
    if crowded.size:
        yield "norm", crowded


def _crowd(squares: NDArray[np.float64], kept: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Rows of one norm: more of them within `CLOSE` than the density of norms around would bring there by chance."""
    places = np.flatnonzero(kept)
    if places.size <= CROWD:
        return np.empty(0, np.intp)
    norms = np.sqrt(squares[places])
    order = np.argsort(norms)
    norms, places = norms[order], places[order]
    ends = np.searchsorted(norms, norms * (1 + CLOSE), side="right")
    counts = ends - np.arange(norms.size)
    chance = np.max([_around(norms, width) * CLOSE / (2 * width) for width in AROUND], axis=0)
    begin = int(np.argmax(counts - chance))
    expected = float(chance[begin])
    crowd = places[begin : ends[begin]]
    return crowd if counts[begin] > CROWD and counts[begin] > expected + 10 * np.sqrt(expected) else crowd[:0]


def _around(norms: NDArray[np.float64], width: float) -> NDArray[np.intp]:
    """How many norms lie within a relative width of each; `norms` ascend."""
    above, below = norms * (1 + width), norms * (1 - width)
    found: NDArray[np.intp] = np.searchsorted(norms, above, side="right") - np.searchsorted(norms, below)
    return found


def _listed(ids: Sequence[int], tokens: Mapping[int, str] | None) -> str:
    names = [str(n) if tokens is None else f"{n} {escaped(tokens[n], 40)}" for n in ids[:MOST]]
    return ", ".join(names) + (" …" if len(ids) > MOST else "")


def out_of_range(
    rows: int, settings: Mapping[str, Mapping[str, Any]], vocabulary: Mapping[str, int] | None
) -> Iterator[Fault]:
    """Numbers of special tokens, and tokens of the tokenizer, that have no row."""
    for place, document in settings.items():
        for key in IDS:
            value = document.get(key)
            for number in value if isinstance(value, list) else [value]:
                if isinstance(number, int) and not isinstance(number, bool) and not -1 <= number < rows:
                    yield fault("special-token", f"{place}: {key}", number=number, rows=f"{rows:,}")
    beyond = [] if vocabulary is None else [(n, token) for token, n in vocabulary.items() if n >= rows]
    if beyond:
        listed = _listed([n for n, _ in sorted(beyond)], dict(beyond))
        yield fault("tokenizer", None, count=f"{len(beyond):,}", rows=f"{rows:,}", listed=listed)


def unknown(special: Mapping[str, Any], vocabulary: Mapping[str, int] | None) -> Iterator[Fault]:
    """Special tokens that the tokenizer does not have."""
    for role, token in special.items() if vocabulary is not None else ():
        if isinstance(token, str) and vocabulary is not None and token not in vocabulary:
            yield fault("unknown-token", role, token=token)
