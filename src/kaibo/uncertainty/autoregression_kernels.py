"""The compiled loop behind the regressions: 32 tokens side by side, so that one instruction works on several.

What a token contributes to every ρ are four numbers of its least-squares residuals e (Σe², 2Σeₜeₜ₋₁, the first and
last e) and one more beside the checkpoints, Σ(eₜxₜ₋₁ + eₜ₋₁xₜ): generalised least squares for any ρ follows from them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kaibo.vocabulary.compiling import compiled

Floats = NDArray[np.float64]
LANES = 32
TINY = 1e-26
"""A residual sum of squares below this part of Σy² is rounding."""


@compiled
def regress_lanes(values: Floats, x: Floats, nodes: Floats, tail: Floats, out: Floats) -> None:
    """Regressions of columns of `values` (points, tokens) on `x` (points,), which has mean 0.

    `nodes` (ρ, 7) are the rows of `node_of`, `tail` the polynomial of t with points − 2 degrees of freedom.
    `out` (6, tokens) receives slope, its standard error, p, the mean of ρ, the mean of the values, Σ(y − mean)².
    """
    points, tokens = values.shape
    lane = np.empty((16, LANES))
    y = np.empty((points, LANES))
    for begin in range(0, tokens, LANES):
        width = min(LANES, tokens - begin)
        for t in range(points):
            for j in range(LANES):
                y[t, j] = values[t, begin + min(j, width - 1)]
        _features(y, x, lane)
        _mixed(lane, nodes, tail, points - 2)
        for j in range(width):
            for k in range(6):
                out[k, begin + j] = lane[k, j]


@compiled
def _features(y: Floats, x: Floats, lane: Floats) -> None:
    """Rows 4–11 of `lane`: mean, Σ(y−mean)², slope, Σe², 2Σee, first and last e, Σ(eₜxₜ₋₁ + eₜ₋₁xₜ); y becomes e."""
    points = y.shape[0]
    square = 0.0
    for t in range(points):
        square += x[t] * x[t]
    for k in range(4, 12):
        for j in range(LANES):
            lane[k, j] = 0.0
    for t in range(points):
        for j in range(LANES):
            lane[4, j] += y[t, j]
    for j in range(LANES):
        lane[4, j] /= points
    for t in range(points):
        for j in range(LANES):
            left = y[t, j] - lane[4, j]
            lane[5, j] += left * left
            lane[6, j] += left * x[t]
    for j in range(LANES):
        lane[6, j] /= square
    for t in range(points):
        for j in range(LANES):
            e = y[t, j] - lane[4, j] - lane[6, j] * x[t]
            y[t, j] = e
            lane[7, j] += e * e
    for t in range(1, points):
        for j in range(LANES):
            lane[8, j] += 2 * y[t, j] * y[t - 1, j]
            lane[11, j] += y[t, j] * x[t - 1] + y[t - 1, j] * x[t]
    for j in range(LANES):
        lane[9, j] = y[0, j]
        lane[10, j] = y[points - 1, j]


@compiled
def _mixed(lane: Floats, nodes: Floats, tail: Floats, freedom: int) -> None:
    """Rows 0–3 of `lane` from rows 4–11: slope, error, p and ρ, averaged over the nodes by their likelihood.

    A node's weight is c·rss^(−ν/2), and its p is (rss/(rss + q))^(ν/2)·h with q = b²/g₂₂: no logarithm is needed.
    """
    rss, b = np.empty((nodes.shape[0], LANES)), np.empty((nodes.shape[0], LANES))
    least, total = np.full(LANES, np.inf), np.zeros(LANES)
    weight, tails, h = np.empty(LANES), np.empty(LANES), np.empty(LANES)
    second = np.zeros(LANES)
    for j in range(LANES):
        for k in range(4):
            lane[k, j] = 0.0
    for k in range(nodes.shape[0]):
        rho, first_x, last_x = nodes[k, 0], nodes[k, 5], nodes[k, 6]
        g11, g12, g22 = nodes[k, 2], nodes[k, 3], nodes[k, 4]
        for j in range(LANES):
            e1, en = lane[9, j], lane[10, j]
            own = lane[7, j] - rho * lane[8, j] + rho * rho * (lane[7, j] - e1 * e1 - en * en)
            u1 = (rho - rho * rho) * (e1 + en)
            u2 = -rho * lane[11, j] - rho * rho * (e1 * first_x + en * last_x)
            left = own - (g11 * u1 * u1 + 2 * g12 * u1 * u2 + g22 * u2 * u2)
            rss[k, j] = max(left, TINY * (lane[5, j] + lane[4, j] * lane[4, j]) + 1e-300)
            b[k, j] = lane[6, j] + g12 * u1 + g22 * u2
            least[j] = min(least[j], rss[k, j])
    for k in range(nodes.shape[0]):
        rho, scale, g22 = nodes[k, 0], nodes[k, 1], nodes[k, 4]
        for j in range(LANES):
            q = b[k, j] * b[k, j] / g22
            weight[j] = least[j] / rss[k, j]
            tails[j] = least[j] / (rss[k, j] + q)
            h[j] = 2 * np.sqrt(q / (rss[k, j] + q)) - 1
        _powers(weight, freedom)
        _powers(tails, freedom)
        _polynomial(tail, h)
        for j in range(LANES):
            w = scale * weight[j]
            total[j] += w
            lane[0, j] += w * b[k, j]
            second[j] += w * (b[k, j] * b[k, j] + rss[k, j] * g22 / freedom)
            lane[2, j] += scale * tails[j] * h[j]
            lane[3, j] += w * rho
    for j in range(LANES):
        lane[0, j] /= total[j]
        lane[1, j] = np.sqrt(max(second[j] / total[j] - lane[0, j] * lane[0, j], 0.0))
        lane[2, j] = min(lane[2, j] / total[j], 1.0)
        lane[3, j] /= total[j]


@compiled
def _polynomial(coefficients: Floats, v: Floats) -> None:
    """v becomes the polynomial's value at v."""
    value = np.zeros(LANES)
    for k in range(coefficients.size):
        for j in range(LANES):
            value[j] = value[j] * v[j] + coefficients[k]
    for j in range(LANES):
        v[j] = value[j]


@compiled
def _powers(base: Floats, freedom: int) -> None:
    """base becomes base^(freedom/2)."""
    value = np.ones(LANES)
    if freedom & 1:
        for j in range(LANES):
            value[j] = np.sqrt(base[j])
    left = freedom >> 1
    while left:
        if left & 1:
            for j in range(LANES):
                value[j] *= base[j]
        for j in range(LANES):
            base[j] *= base[j]
        left >>= 1
    for j in range(LANES):
        base[j] = value[j]
