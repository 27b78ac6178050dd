"""First digits as a page tables them: a row for each digit where bars are drawn, and the whole."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from kaibo.chapters.digits.draw import MOST_PANELS
from kaibo.chapters.digits.rows import DigitsRow
from kaibo.vocabulary import Finding
from kaibo.vocabulary.kinds import Kind


@dataclass(frozen=True)
class DigitShare:
    """One first digit of one row of a digits finding: what was counted, the law, and the two nulls, as fractions."""

    model: str
    key: str | int | None
    digit: int
    count: int
    share: float
    law: float
    gaussian: float | None
    mixture: float | None


DIGIT_SHARES = Kind("digit-shares", DigitShare, __package__, label="page.by_digit")


def opened(finding: Finding[DigitsRow]) -> tuple[Finding[Any], ...]:
    """The numbers that the bars draw, then the finding itself."""
    return (finding,) if len(finding.rows) > MOST_PANELS else (digit_shares(finding), finding)


def digit_shares(finding: Finding[DigitsRow]) -> Finding[DigitShare]:
    """A digits finding opened to a row per digit: the numbers that its figure draws."""
    rows = tuple(
        DigitShare(
            *(row.model, row.key, digit, row.counts[digit - 1], row.shares[digit - 1]),
            *(math.log10(1 + 1 / digit), *_at(row.gaussian_shares, digit), *_at(row.mixture_shares, digit)),
        )
        for row in finding.rows
        for digit in range(1, 10)
    )
    return Finding(DIGIT_SHARES, rows)


def _at(shares: tuple[float, ...], digit: int) -> tuple[float | None]:
    return (shares[digit - 1] if shares else None,)
