"""Percent or fraction: the unit of each column, refused where one column holds both until the user says."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from kaibo.errors import FormatError, UsageError
from kaibo.tables.files.sheets import Column
from kaibo.vocabulary.scores import Unit

GAP = 5.0
"""Percentages down to so few: a column with values between 1 and this one simply runs down to small ones."""

OPEN = re.compile(r"(?:^|[^a-z])(?:ppl|perplexity|loss|nll|nats|bits?|bpb|bpc)(?:[^a-z]|$)", re.IGNORECASE)
"""Names of what is no share of anything, whatever its values."""

UNITS: tuple[Unit, ...] = ("fraction", "percent", "points")


def unit_of(column: Column, source: str, told: Mapping[str, str]) -> Unit:
    """The unit of a column of scores: as told, else by its percent signs, else by its name, else by its values.

    Values within [−1, 1] are fractions, values up to 100 percent where none lies between 0 and 1 that would fit
    among the others a hundred times larger. Raises FormatError for a column that mixes the two.
    """
    if column.name in told:
        unit = told[column.name]
        if unit not in UNITS:
            raise UsageError(f'"{unit}" is no unit', next="percent, fraction or points")
        return unit
    assert column.numbers is not None
    values = column.numbers[~np.isnan(column.numbers)]
    if OPEN.search(column.name) and not column.percent and not column.mixed:
        return "points"
    if column.mixed or (not column.percent and mixed_scales(values)):
        shown = ", ".join(f"{value:g}" for value in values[:4])
        raise FormatError(
            f'column "{column.name}" mixes percent and fractions ({shown} …)',
            file=source,
            next=f"mend it, or --unit '{column.name}=percent' (or fraction, points) if it does not",
        )
    if column.percent:
        return "percent"
    if not len(values) or (values.min() >= -1 and values.max() <= 1):
        return "fraction"
    return "percent" if values.min() >= 0 and values.max() <= 100 else "points"


def mixed_scales(values: NDArray[np.float64]) -> bool:
    """Whether some values are fractions of what the others count in percent: all that lie in (0, 1) fit, times a
    hundred, among those above 1, and nothing lies between.

    >>> mixed_scales(np.array([0.61, 58.0, 0.45, 61.0])), mixed_scales(np.array([0.2, 7.89, 16.3, 0.02]))
    (True, False)
    """
    small, large = values[(values > 0) & (values < 1)], values[values > 1]
    if not len(small) or not len(large) or values.min() < 0 or large.max() > 100 or large.min() < GAP:
        return False
    return bool((100 * small >= 0.5 * large.min()).all() and (100 * small <= 1.5 * large.max()).all())
