"""Does size still matter, given perplexity? Two nested models of a score, and what their difference is by chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kaibo.chapters.trends.curves import fitted, knots_of, natural_basis
from kaibo.uncertainty.intervals import student

Floats = NDArray[np.float64]

ENDS = (0.1, 0.9)
"""At which quantiles of the shared log perplexities the effect of size is read."""

DRAWS = 400
"""Scores drawn without any effect of size, for the null of the gain."""


@dataclass(frozen=True)
class SizeEffect:
    """What a tenfold size changes in a score at one perplexity of the text: `value`, and an interval that holds 95 % of
    the time for all perplexities of a row together (Bonferroni). Over sizes by the jackknife, with Student's t on the
    number of sizes less two: checkpoints of one size are one draw, whose questions and luck they share.
    """

    perplexity: float
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class SizeGivenPerplexity:
    """What size adds to a smooth curve of log perplexity: log size, and its product with log perplexity.

    `statistic` is the likelihood ratio n·ln(RSS₀/RSS₁) with `freedom` degrees, `p` its χ² tail, `q` after
    Benjamini–Hochberg over the scores. Checkpoints of one run are not independent, so p is too small; what
    decides is `gain`, the change of R² when each size is predicted from the others. `gain_null` is the 95 % quantile of
    the gain where perplexity alone decides and each run, whose checkpoints answer the same questions, is off by one
    draw of its standard errors; `gain_p` the share of such draws with as large a gain. None without standard errors. A
    gain below its null shows nothing: whether size matters little enough is read from `effects`, near both ends of the
    perplexities that several sizes reach, and from a margin.
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
    effects: tuple[SizeEffect, ...] = ()

    @property
    def effect(self) -> float | None:
        """The larger of the effects of a tenfold size at one perplexity, by its absolute value."""
        return max((one.value for one in self.effects), key=abs, default=None)

    @property
    def effect_low(self) -> float | None:
        """The least that any of them may be."""
        return min((one.low for one in self.effects), default=None)

    @property
    def effect_high(self) -> float | None:
        """The most that any of them may be."""
        return max((one.high for one in self.effects), default=None)


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
        statistic, 2, float(stats.chi2.sf(statistic, 2)), None, without, with_size, gain, null, p,
        size_effects(log_perplexity, sizes, y),
    )  # fmt: skip


def size_effects(log_perplexity: Floats, sizes: Floats, y: Floats) -> tuple[SizeEffect, ...]:
    """What a tenfold size changes at two perplexities, near the ends of what other sizes reach as well.

    A size may help early and hurt late, so one mean effect would not do. Empty for fewer than three sizes that share
    perplexities, or fewer than four checkpoints beyond what is fitted.
    """
    shared = _shared(log_perplexity, sizes)
    x, size, y = log_perplexity[shared], np.log10(sizes[shared]), y[shared]
    several = np.unique(size)
    if len(several) < 3 or len(x) < 11:
        return ()
    places = np.quantile(x, ENDS)
    knots = knots_of(x, int(np.clip(len(x) // 12, 4, 15)))  # a curve that bends too little leaves its misfit to size
    base, mid, half = natural_basis(x, knots), float(places.mean()), float(np.ptp(places) / 2) or 1.0
    centred = size - size.mean()
    design = np.column_stack([base, centred, centred * (x - mid) / half])
    read = np.array([[1.0, (place - mid) / half] for place in places])

    def weights(kept: NDArray[np.bool_]) -> Floats:
        return np.asarray(read @ np.linalg.pinv(design[kept])[-2:], np.float64)

    every = weights(np.ones(len(x), bool))
    found = every @ y
    left = np.stack([weights(size != one) @ y[size != one] for one in several])
    spread = (len(several) - 1) / len(several) * ((left - left.mean(axis=0)) ** 2).sum(axis=0)
    reach = student(len(several) - 2, 1 - 0.05 / len(ENDS)) * np.sqrt(spread)  # 95 % over both effects together
    return tuple(
        SizeEffect(float(np.exp(place)), float(value), float(value - far), float(value + far))
        for place, value, far in zip(places, found, reach, strict=True)
    )


def _shared(log_perplexity: Floats, sizes: Floats) -> NDArray[np.bool_]:
    """Which checkpoints have a perplexity between those of a model of another size."""
    shared = np.zeros(len(sizes), bool)
    for size in np.unique(sizes):
        own = log_perplexity[sizes == size]
        shared |= (sizes != size) & (log_perplexity >= own.min()) & (log_perplexity <= own.max())
    return shared


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
