"""Does size still matter, given perplexity? Two nested models of a score, and what their difference is by chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kaibo.chapters.trends.curves import fitted, knots_of, natural_basis

Floats = NDArray[np.float64]

DRAWS = 400
"""Scores drawn without any effect of size, for the null of the gain."""


@dataclass(frozen=True)
class SizeGivenPerplexity:
    """What size adds to a smooth curve of log perplexity: log size, and its product with log perplexity.

    `statistic` is the likelihood ratio n·ln(RSS₀/RSS₁) with `freedom` degrees, `p` its χ² tail, `q` after
    Benjamini–Hochberg over the scores. Checkpoints of one run are not independent, so p is too small; what
    decides is `gain`, the change of R² when each size is predicted from the others. `gain_null` is the 95 % quantile of
    the gain where perplexity alone decides and each run, whose checkpoints answer the same questions, is off by one
    draw of its standard errors; `gain_p` the share of such draws with as large a gain. None without standard errors.
    """

    statistic: float
    freedom: int
    p: float
    q: float | None
    r2_without: float
    r2_with: float
    gain: float
    gain_null: float | None = None
    gain_p: float | None = None


def size_adds(
    log_perplexity: Floats, sizes: Floats, y: Floats, error: Floats | None, seed: int
) -> SizeGivenPerplexity | None:
    """What size adds to perplexity; None for fewer than three sizes, or where nothing is left to explain.

    `y` are the scores of checkpoints, `sizes` their parameters, `error` their standard errors.
    """
    from scipy import stats

    if len(np.unique(sizes)) < 3:
        return None
    base = natural_basis(log_perplexity, knots_of(log_perplexity))
    centred = np.log(sizes) - np.log(sizes).mean()
    more = np.column_stack([base, centred, centred * (log_perplexity - log_perplexity.mean())])
    plain = design_fit(base, y)
    rest = [float(((y - predicted) ** 2).sum()) for predicted in (plain, design_fit(more, y))]
    if rest[1] <= 0:
        return None
    statistic = len(y) * float(np.log(rest[0] / rest[1]))
    predictors = [left_out(design, sizes) for design in (base, more)]
    without, with_size = (float(r_squares(y[None], one)[0]) for one in predictors)
    gain = with_size - without
    null, p = _null(plain, sizes, error, predictors, gain, seed)
    return SizeGivenPerplexity(
        statistic, 2, float(stats.chi2.sf(statistic, 2)), None, without, with_size, gain, null, p
    )  # fmt: skip


def design_fit(design: Floats, y: Floats) -> Floats:
    """The least squares fit of y on the columns of a design."""
    return np.asarray(design @ fitted(design, y), np.float64)


def left_out(design: Floats, folds: Floats) -> Floats:
    """The matrix that predicts each entry of any y from those of other folds; shape (n, n)."""
    out = np.zeros((len(design), len(design)))
    for fold in np.unique(folds):
        here = folds == fold
        out[np.ix_(here, ~here)] = design[here] @ np.linalg.pinv(design[~here])
    return out


def r_squares(rows: Floats, predictor: Floats) -> Floats:
    """1 − Σ(y − ŷ)² / Σ(y − ȳ)² of each row; shape (rows, n) by (n, n)."""
    spread = ((rows - rows.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(1 - ((rows - rows @ predictor.T) ** 2).sum(axis=1) / spread, np.float64)


def _null(
    plain: Floats, sizes: Floats, error: Floats | None, predictors: list[Floats], gain: float, seed: int
) -> tuple[float | None, float | None]:
    """The 95 % quantile of the gain where each run is off by one draw of its errors, and the share with as much."""
    if error is None or not np.isfinite(error).all():
        return None, None
    run = np.unique(sizes, return_inverse=True)[1]
    off = np.random.default_rng([seed, 13]).normal(size=(DRAWS, int(run.max()) + 1))[:, run]
    drawn = plain + off * error
    gains = r_squares(drawn, predictors[1]) - r_squares(drawn, predictors[0])
    return float(np.quantile(gains, 0.95)), float((1 + (gains >= gain).sum()) / (1 + DRAWS))
