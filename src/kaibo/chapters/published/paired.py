"""Two rows of a score table, benchmark by benchmark: the difference, and how far chance alone could move it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from kaibo.chapters.published.rows import PAIRED, PAIRED_SUMS, PairedRow, PairedSum
from kaibo.uncertainty.discovery import benjamini_hochberg
from kaibo.uncertainty.exact import sign_test
from kaibo.uncertainty.intervals import Z, mean_interval, newcombe
from kaibo.version import __version__
from kaibo.vocabulary import Finding
from kaibo.vocabulary.scores import ScoreTable
from kaibo.words import Note, note

UNKNOWN = note("questions_unknown")
NO_SHARE = note("no_share")


@dataclass(frozen=True)
class TestSize:
    """How many questions a benchmark has (None where that is not known), and where the number is from.

    `share` says whether its score is a share of right answers, which alone has a binomial standard error.
    """

    questions: int | None
    source: str = ""
    share: bool = True


@dataclass(frozen=True)
class Paired:
    """The differences by benchmark, and the sum over them for each pair."""

    rows: Finding[PairedRow]
    sums: Finding[PairedSum]


def paired(table: ScoreTable, pairs: Sequence[tuple[str, str]], sizes: Mapping[str, TestSize]) -> Paired:
    """The differences of pairs (a, b) of a table's models on every benchmark that both have.

    Raises UsageError for a model that the table has not.
    """
    rows = [row for a, b in pairs for row in _of_pair(table, a, b, sizes)]
    corrected = benjamini_hochberg([math.nan if row.p is None else row.p for row in rows])
    found = tuple(replace(row, q=q) for row, q in zip(rows, corrected, strict=True))
    provenance = {"table": table.name, "kaibo": __version__}
    sums = tuple(_sum([row for row in found if (row.one, row.other) == pair]) for pair in dict.fromkeys(_pairs(found)))
    return Paired(Finding(PAIRED, found, _notes(found), provenance), Finding(PAIRED_SUMS, sums, (), provenance))


def _pairs(rows: Iterable[PairedRow]) -> list[tuple[str, str]]:
    return [(row.one, row.other) for row in rows]


def _of_pair(table: ScoreTable, a: str, b: str, sizes: Mapping[str, TestSize]) -> list[PairedRow]:
    one, other = (table.values[table.place(name)] for name in (a, b))
    return [
        _row((a, b, name), (float(one[k]), float(other[k])), sizes.get(name), 1.0 if unit == "fraction" else 100.0)
        for k, (name, unit) in enumerate(zip(table.benchmarks, table.units, strict=True))
        if not math.isnan(one[k]) and not math.isnan(other[k])
    ]


def _row(names: tuple[str, str, str], values: tuple[float, float], size: TestSize | None, whole: float) -> PairedRow:
    difference = values[0] - values[1]
    if size is None or size.questions is None or not size.share:
        reason = NO_SHARE if size is not None and not size.share else UNKNOWN
        return PairedRow(*names, *values, difference, why={"difference_low": reason})
    shares = [value / whole for value in values]
    error = whole * math.sqrt(math.fsum(share * (1 - share) for share in shares) / size.questions)
    p = math.erfc(abs(difference) / error / math.sqrt(2)) if error else float(difference == 0)
    low, high = difference - Z * error, difference + Z * error
    if max(-low, high) > whole:
        low, high = (whole * end for end in newcombe(shares[0], shares[1], size.questions))
    return PairedRow(*names, *values, difference, low, high, size.questions, p)


def _sum(rows: Sequence[PairedRow]) -> PairedSum:
    differences = np.array([row.difference for row in rows])
    higher, lower = int((differences > 0).sum()), int((differences < 0).sum())
    count, whole = len(rows), 1.0 if max(max(abs(row.value_a), abs(row.value_b)) for row in rows) <= 1 else 100.0
    mean = mean_interval(differences)
    if max(-mean.low, mean.high) > whole:
        mean = mean.within(-whole, whole)
    low, high = (mean.low, mean.high) if count > 1 else (None, None)
    return PairedSum(rows[0].one, rows[0].other, count, higher, mean.mean, low, high, sign_test(higher, lower))


def _notes(rows: Sequence[PairedRow]) -> tuple[Note, ...]:
    """Which benchmarks have an interval, and from how many questions; which have none, and why."""
    known = {row.benchmark: row.questions for row in rows if row.questions is not None}
    unknown = {row.benchmark: row.why["difference_low"] for row in rows if row.questions is None}
    said = []
    if known:
        listed = ", ".join(f"{name} {count:,}" for name, count in known.items())
        said = [note("questions_of", listed=listed), INDEPENDENT]
    for reason in dict.fromkeys(unknown.values()):
        listed = ", ".join(name for name, why in unknown.items() if why == reason)
        said.append(note("no_interval", names=listed, why=reason))
    return tuple(said)


INDEPENDENT = note("independent_answers")
