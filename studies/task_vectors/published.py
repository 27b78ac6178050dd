"""What the source printed: six rows of norms, judged, and ways that make such rows from a difference that is known."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import kaibo

PARAMETERS, LINEAR = 8_030_261_248, 6_979_321_856
"""Weights of the source's base, and those of its linear layers alone."""

PUBLISHED = {
    "sft-1e-4-42": (1073358.0, 16.658565739582745),
    "sft-1e-4-100": (2859111.0, 45.28603753158914),
    "dpo-1e-5-42": (283154.5, 2.7612353904133857),
    "dpo-1e-5-100": (280975.25, 2.695570339088263),
    "sft-1e-5-42": (277361.125, 2.20031771804024),
    "sft-1e-5-100": (278791.25, 2.217655637326153),
}
"""L1 and L2 of the difference of two fine-tunes on other data, as the source printed them."""

CELLS = ("sft-1e-4", "sft-1e-5", "dpo-1e-5")
"""Method and learning rate of the published rows, each under two seeds."""

MOVES = 0.25
"""By how much of its mean a distance differs between seeds before it is said to move with the seed."""

SIGMAS = (0.016, 0.02)
"""Standard deviations that the weights of such a model have."""

FACTORS = tuple(2.0 ** (1 - half / 2) for half in range(13))
"""A difference is made so many times as large, to see from which size on a way of adding breaks."""

Member = Mapping[str, Any]


def judged() -> Any:
    """The published rows, as norms of one vector of all weights."""
    names = [called(name) for name in PUBLISHED]
    return kaibo.norms([(PARAMETERS, *norms) for norms in PUBLISHED.values()], names)


def called(name: str) -> str:
    """`sft-1e-4-42` as people read it."""
    method, mantissa, exponent, seed = name.split("-")
    return f"{method.upper()} {mantissa}-{exponent}, seed {seed}"


def ways(children: Sequence[Member], reported: Any, settings: Any) -> dict[str, Any]:
    """The same kind of difference, data set against data set, normed in different ways; nothing without children."""
    between = between_data(children)
    if not between:
        return {}
    rates = [rate for method, rate in between if method == "sft"] or [rate for _, rate in between]
    method = "sft" if any(method == "sft" for method, _ in between) else "dpo"
    ends = {rate: between[method, rate] for rate in (max(rates), min(rates))}
    largest = {
        method.upper(): between[method, max(rates)] for method in ("sft", "dpo") if (method, max(rates)) in between
    }
    return {
        "ways": kaibo.questions.norm_ways(
            {f"{method.upper()} {rate_text(rate)}": pair for rate, pair in ends.items()}, settings=settings
        ),
        "sizes": kaibo.questions.norm_sizes(largest, FACTORS, reported=reported, settings=settings),
    }


def rate_text(rate: float) -> str:
    """A learning rate as people write it: 1e-4."""
    mantissa, exponent = f"{rate:e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}"


def between_data(children: Sequence[Member]) -> dict[tuple[str, float], tuple[str, str]]:
    """Of each method and learning rate two children of one parent and seed on two data sets, the first there are."""
    found: dict[tuple[str, float], tuple[str, str]] = {}
    for one, other in combinations(children, 2):
        alike = all(one[key] == other[key] for key in ("kind", "learning_rate", "seed", "parent"))
        if alike and one["data"] != other["data"]:
            found.setdefault((one["kind"], one["learning_rate"]), (one["address"], other["address"]))
    return found


def outcomes(rows: Sequence[Any]) -> list[kaibo.Outcome]:
    """Which rows can be norms of one vector at all, and what the rows as printed say of the seed."""
    possible = [kaibo.Outcome(name, bool(row.holds)) for name, row in zip(PUBLISHED, rows, strict=True)]
    return [*possible, *stability(PUBLISHED)]


def stability(printed: Mapping[str, tuple[float, float]]) -> list[kaibo.Outcome]:
    """Whether L1 and L2 move with the seed: by more than `MOVES` of their mean. Says nothing of why they do."""
    moved = {cell: max(spread(printed, cell, norm) for norm in (0, 1)) for cell in CELLS}
    return [
        kaibo.Outcome("sft-high-moves", moved["sft-1e-4"] > MOVES, n=2),
        kaibo.Outcome("sft-low-steady", moved["sft-1e-5"] <= MOVES, n=2),
        kaibo.Outcome("dpo-low-steady", moved["dpo-1e-5"] <= MOVES, n=2),
    ]


def spread(printed: Mapping[str, tuple[float, float]], cell: str, norm: int) -> float:
    """(largest − least) ÷ mean of a norm over the seeds of a method and learning rate."""
    values = [norms[norm] for name, norms in printed.items() if name.startswith(cell)]
    return (max(values) - min(values)) * len(values) / math.fsum(values)


def sentences(rows: Sequence[Any], found: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """How many rows cannot be and by how much, what their last bits tell, and which way makes such rows."""
    ratio = max(l1 / l2 for l1, l2 in PUBLISHED.values())
    broken = {"whole": ratio / math.sqrt(PARAMETERS), "linear": ratio / math.sqrt(LINEAR)}
    said: list[tuple[str, dict[str, Any]]] = [
        ("impossible", {"count": sum(not row.holds for row in rows), "rows": len(rows), "n": PARAMETERS, **broken})
    ]
    stepped = [row for row in rows if row.square_step is not None]
    if stepped:
        bits = -round(math.log2(min(row.square_step for row in stepped)))
        odds = math.floor(1 / max(row.by_chance for row in stepped) / 1e6) * 1e6
        said.append(("steps", {"count": len(stepped), "rows": len(rows), "finest": f"2⁻{raised(bits)}", "odds": odds}))
    sizes = [size for pair in pairs_of(found.get("sizes")) if (size := crossed_at(found["sizes"], pair)) is not None]
    if sizes:
        impossible = [row.l1 / row.n for row in rows if not row.holds]
        possible = [row.l1 / row.n for row in rows if row.holds]
        means = {"broken": max(impossible), "whole": min(possible)}
        said.append(("breaks", {"low": min(sizes), "high": max(sizes), **means}))
    low, high = (bf16_of_gaussian(sigma) for sigma in SIGMAS)
    low_rate = [norms for name, norms in PUBLISHED.items() if "1e-5" in name]
    ends = {"least": min(l2 for _, l2 in low_rate), "most": max(l2 for _, l2 in low_rate)}
    said += [("cause", {}), ("resolution", {"low": low, "high": high, "n": PARAMETERS, **ends})]
    return said


def raised(number: int) -> str:
    """A number in superscript digits."""
    return str(number).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))


def bf16_of_gaussian(sigma: float) -> float:
    """L2 of what rounding Gaussian weights to bfloat16 changes: √(n·Σ P(2ᵉ ≤ |w| < 2ᵉ⁺¹)·(2ᵉ⁻⁷)²/12)."""
    edges = [2.0**exponent for exponent in range(-60, 4)]
    below = [math.erf(edge / (sigma * math.sqrt(2))) for edge in edges]
    shares = [(high - low) * (edge / 128) ** 2 for edge, low, high in zip(edges, below, below[1:], strict=False)]
    return math.sqrt(PARAMETERS * math.fsum(shares) / 12)


def pairs_of(sizes: Any) -> list[str]:
    """The differences that were made larger and smaller."""
    return [] if sizes is None else list(dict.fromkeys(row.pair for row in sizes.rows if row.factor is not None))


def crossed_at(sizes: Any, pair: str) -> float | None:
    """The greatest mean |Δ| at which squares in float16 gave norms that cannot be."""
    in_half = [row for row in sizes.rows if row.pair == pair and row.way.startswith("float16")]
    return max((row.mean_absolute for row in in_half if row.holds is False), default=None)
