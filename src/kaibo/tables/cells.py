"""Text cells to numbers: full-width digits, percent signs, thousands, decimal commas, and the many names of nothing."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MISSING = frozenset(
    {
        "",
        "-",
        "–",
        "—",
        "―",
        "ー",
        "--",
        "n/a",
        "na",
        "n.a.",
        "#n/a",
        "null",
        "none",
        "nan",
        "tbd",
        "?",
        "未測定",
        "未定",
        "欠損",
    }
)
"""What a missing cell says, after NFKC, trimming and case folding. Never zero."""

_THOUSANDS = r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d*)?"
_PLAIN = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_NUMBER = re.compile(rf"(?:{_THOUSANDS}|{_PLAIN})\s*(%?)")
_COMMA = re.compile(r"[+-]?\d+,\d+\s*(%?)")
_MINUS = str.maketrans({"\u2212": "-", "\u2010": "-", "\u2011": "-", "\u00a0": " ", "\u3000": " "})


@dataclass(frozen=True)
class Cells:
    """A column of texts read as numbers.

    `numbers` is float64 with NaN for missing cells, `percent` says for each whether it carried a percent sign,
    `missing` which cells say nothing. `bad` lists the places of cells that are neither number nor missing.
    """

    numbers: NDArray[np.float64]
    percent: NDArray[np.bool_]
    missing: NDArray[np.bool_]
    bad: tuple[int, ...]
    rewritten: int

    @property
    def share(self) -> float:
        """The share of numbers among the cells that say something."""
        said = int((~self.missing).sum())
        return (said - len(self.bad)) / said if said else 0.0


def plain_text(text: str) -> str:
    """A cell as it is compared and read: NFKC, trimmed, the signs for minus made one.

    >>> plain_text(" ４５．２％ "), plain_text("−3.5")
    ('45.2%', '-3.5')
    """
    text = text.translate(_MINUS)
    return (text if text.isascii() else unicodedata.normalize("NFKC", text).translate(_MINUS)).strip()


def is_missing(text: str | None) -> bool:
    """Whether a cell says that there is no value.

    >>> is_missing(" — "), is_missing("N/A"), is_missing("0")
    (True, True, False)
    """
    return text is None or plain_text(text).casefold() in MISSING


def read_cells(texts: Sequence[str | None], nothing: frozenset[str] = frozenset()) -> Cells:
    """All cells of a column, each distinct text read once. `nothing` are further texts that mean a missing cell.

    A comma is a thousands separator where it stands before every third digit, and a decimal comma where a cell of
    the column can be read in no other way and none has a decimal point.

    >>> read_cells(["４５．２", "1,234", "−3", "N/A"]).numbers.tolist()
    [45.2, 1234.0, -3.0, nan]
    >>> read_cells(["45,2", "61,75"]).numbers.tolist()
    [45.2, 61.75]
    """
    distinct = {text: plain_text(text or "") for text in dict.fromkeys(texts)}
    numeric = [text for text in distinct.values() if text.casefold() not in MISSING]
    comma = any(_COMMA.fullmatch(text) and not _NUMBER.fullmatch(text) for text in numeric) and not any(
        "." in text for text in numeric if _NUMBER.fullmatch(text)
    )
    read = {text: _read(plain, comma, nothing) for text, plain in distinct.items()}
    columns = [read[text] for text in texts]
    return Cells(
        np.array([value for value, _, _, _ in columns], dtype=np.float64),
        np.array([percent for _, percent, _, _ in columns], dtype=bool),
        np.array([missing for _, _, missing, _ in columns], dtype=bool),
        tuple(place for place, (_, _, _, bad) in enumerate(columns) if bad),
        sum(1 for text in texts if text and distinct[text] != text.strip()),
    )


def _read(text: str, comma: bool, nothing: frozenset[str]) -> tuple[float, bool, bool, bool]:
    if text.casefold() in MISSING or text in nothing:
        return np.nan, False, True, False
    if comma and _COMMA.fullmatch(text):
        return float(text.rstrip("% ").replace(",", ".")), text.endswith("%"), False, False
    found = _NUMBER.fullmatch(text)
    if found is None:
        return np.nan, False, False, True
    value = float(text.rstrip("% ").replace(",", ""))
    return value, bool(found[1]), False, not np.isfinite(value)


_AMOUNT = re.compile(r"([\d.]+)\s*(?:x\s*([\d.]+)\s*)?([kmbt]?)", re.IGNORECASE)
_SCALE = {"": 1.0, "k": 1e3, "m": 1e6, "b": 1e9, "t": 1e12}


def read_amount(text: str | None) -> float:
    """A size such as `7B`, `560m`, `1.4T` or `8x7B` as a number; NaN where it is none.

    >>> read_amount("7B"), read_amount("560m"), read_amount("8x7B")
    (7000000000.0, 560000000.0, 56000000000.0)
    """
    found = _AMOUNT.fullmatch(plain_text(text or ""))
    if found is None:
        return np.nan
    try:
        return float(found[1]) * float(found[2] or 1) * _SCALE[found[3].lower()]
    except ValueError:
        return np.nan
