"""Text cells to numbers: full-width digits, percent signs, thousands, decimal commas, and the many names of nothing."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

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

Notation = Literal["point", "comma"]
"""Which sign stands before the decimals; the other one, a space or an apostrophe may group thousands."""


def _number(mark: str, group: str) -> re.Pattern[str]:
    # Every repetition is possessive: a megabyte of digits is looked at once. "0,512" groups no thousands.
    grouped = rf"[1-9]\d{{0,2}}(?P<group>[{group} '’])\d{{3}}(?:(?P=group)\d{{3}})*+(?:{mark}\d*+)?+"
    plain = rf"(?:\d++(?:{mark}\d*+)?+|{mark}\d++)(?:[eE][+-]?+\d++)?+"
    return re.compile(rf"[+-]?+(?:{grouped}|{plain})")


_NUMBERS = {"point": _number(r"\.", ","), "comma": _number(",", r"\.")}
_BARE = {"point": str.maketrans("", "", ", '’"), "comma": str.maketrans(",", ".", ". '’")}
_MINUS = str.maketrans({"\u2212": "-", "\u2010": "-", "\u2011": "-", "\u00a0": " ", "\u3000": " "})
EXACT_DIGITS = 15
"""Digits of an integer that a float64 always keeps."""


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


@dataclass(frozen=True)
class Scan:
    """The different texts of a column, each read in both notations (NaN where it is no number in one).

    `codes` has, for each cell, the place of its text in `distinct`.
    """

    distinct: Sequence[str | None]
    codes: NDArray[np.intp]
    plain: tuple[str, ...]
    point: NDArray[np.float64]
    comma: NDArray[np.float64]
    missing: NDArray[np.bool_]

    @property
    def evidence(self) -> Notation | None:
        """The notation that the cells themselves show: some number can be read in that one only, and none, or
        fewer, in the other only.
        """
        here, there = ~np.isnan(self.point), ~np.isnan(self.comma)
        only_point, only_comma = int((here & ~there).sum()), int((there & ~here).sum())
        if not only_point and not only_comma:
            return None
        return "comma" if only_comma > only_point else "point"

    @property
    def open(self) -> NDArray[np.bool_]:
        """The texts that mean one number with a decimal point and another with a decimal comma."""
        open_: NDArray[np.bool_] = (self.point != self.comma) & ~np.isnan(self.point) & ~np.isnan(self.comma)
        return open_

    @property
    def has_open_commas(self) -> bool:
        """Whether a comma may be either: `1,234`. (A lone point, as in `1.234`, is taken for a decimal point.)"""
        return any("," in self.plain[place] for place in np.flatnonzero(self.open))

    @property
    def numbers_share(self) -> float:
        """The share of cells that are numbers in either notation among those that say something."""
        said = ~self.missing[self.codes]
        number = (~np.isnan(self.point) | ~np.isnan(self.comma))[self.codes]
        return float((said & number).sum() / max(said.sum(), 1))


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


def scan(texts: Sequence[str | None], nothing: frozenset[str] = frozenset()) -> Scan:
    """Reads each different text of a column once. `nothing` are further texts that mean a missing cell."""
    place_of: dict[str | None, int] = {}
    codes = np.fromiter((place_of.setdefault(text, len(place_of)) for text in texts), np.intp, len(texts))
    return scan_distinct(tuple(place_of), codes, nothing)


def scan_distinct(
    distinct: Sequence[str | None], codes: NDArray[np.intp], nothing: frozenset[str] = frozenset()
) -> Scan:
    """The same of a column whose different texts are known already."""
    plain = tuple(plain_text(text or "") for text in distinct)
    missing = np.array([text.casefold() in MISSING or text in nothing for text in plain], dtype=bool)
    point, comma = (
        np.array([np.nan if gone else _value(text, mark) for text, gone in zip(plain, missing, strict=True)])
        for mark in ("point", "comma")
    )
    return Scan(distinct, codes, plain, point, comma, missing)


def cells_of(found: Scan, notation: Notation) -> Cells:
    """A scanned column in one notation."""
    values = found.comma if notation == "comma" else found.point
    bad = np.isnan(values) & ~found.missing
    percent = np.array([text.endswith("%") for text in found.plain], dtype=bool) & ~bad
    changed = np.array(
        [bool(text) and plain != (text or "").strip() for text, plain in zip(found.distinct, found.plain, strict=True)],
        dtype=bool,
    )
    codes = found.codes
    return Cells(
        values[codes],
        percent[codes],
        found.missing[codes],
        tuple(np.flatnonzero(bad[codes]).tolist()),
        int(changed[codes].sum()),
    )


def read_cells(
    texts: Sequence[str | None], nothing: frozenset[str] = frozenset(), notation: Notation | None = None
) -> Cells:
    """All cells of one column in the notation told, else in the one that its cells show, else with a decimal point.

    >>> read_cells(["４５．２", "1,234", "−3", "N/A"]).numbers.tolist()
    [45.2, 1234.0, -3.0, nan]
    >>> read_cells(["45,2", "0,512", "1.234,5"]).numbers.tolist()
    [45.2, 0.512, 1234.5]
    """
    found = scan(texts, nothing)
    return cells_of(found, notation or found.evidence or "point")


def _value(text: str, mark: str) -> float:
    """A text as a number in one notation, NaN where it is none."""
    body = text[:-1].rstrip() if text.endswith("%") else text
    if _NUMBERS[mark].fullmatch(body) is None:
        return np.nan
    value = float(body.translate(_BARE[mark]))
    return value if np.isfinite(value) else np.nan


def loses_digits(text: str) -> bool:
    """Whether a text is an integer with digits that float64 does not keep.

    >>> loses_digits("9007199254740993"), loses_digits("840000000000000000000000"), loses_digits("1,234")
    (True, False, False)
    """
    digits = plain_text(text).lstrip("+-")
    bare = digits.translate(_BARE["point"]) if _NUMBERS["point"].fullmatch(digits) else digits.replace(".", "")
    if len(bare) <= EXACT_DIGITS or not (bare.isascii() and bare.isdecimal()):
        return False
    value = float(bare)
    return not np.isfinite(value) or Decimal(repr(value)) != Decimal(bare)


_AMOUNT = re.compile(
    r"(\d++(?:\.\d++)?+(?:e[+-]?+\d++)?+)\s*+(?:x\s*+(\d++(?:\.\d++)?+)\s*+)?+([kmbt万億兆]?)", re.IGNORECASE
)
_SCALE = {"k": 1e3, "m": 1e6, "b": 1e9, "t": 1e12, "万": 1e4, "億": 1e8, "兆": 1e12}


def read_amount(text: str | None, bare: float = 1.0) -> float:
    """A size such as `7B`, `560m`, `1.4T`, `70億` or `8x7B` as a number; NaN where it is none.

    `bare` is what a number without a unit of its own counts.

    >>> read_amount("7B"), read_amount("560m"), read_amount("8x7B"), read_amount("7", bare=1e9)
    (7000000000.0, 560000000.0, 56000000000.0, 7000000000.0)
    """
    found = _AMOUNT.fullmatch(plain_text(text or ""))
    if found is None:
        return np.nan
    return float(found[1]) * float(found[2] or 1) * _SCALE.get(found[3].lower(), bare)


_BEGINS = re.compile(r"[\s*_~≈<>$(\[+-]*+\d")


def begins_with_number(text: str) -> bool:
    """Whether a text begins with a number, if with signs before it: `45.2 ± 1.2`, `**50.1**`, `12/40`.

    >>> begins_with_number("45.2 ± 1.2"), begins_with_number("**50.1**"), begins_with_number("open")
    (True, True, False)
    """
    return _BEGINS.match(plain_text(text)) is not None
