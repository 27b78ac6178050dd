"""Points with readable names: what the plane of components and the scatter of two measurements share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from kaibo.figures.names import short
from kaibo.figures.placing import place_labels
from kaibo.figures.style import INK

WIDTH, HEIGHT, SIZE = 660, 460, 9.5

PALETTE = (
    *("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#8c564b", "#e377c2", "#17a2b8", "#7f7f7f", "#9a9a00"),
    *("#0b3c5d", "#a31621", "#145a32", "#5b2c6f", "#b9770e", "#566573", "#ad1457", "#00695c", "#3949ab", "#6d4c41"),
    *("#00acc1", "#7cb342", "#f4511e", "#5e35b1", "#c0ca33", "#039be5"),
)
"""Colours that stay apart; they repeat after twenty-six."""


def last_part(name: str) -> str:
    """A model's name without its organisation, not longer than a label may be."""
    return short(name.rsplit("/", 1)[-1].strip() or name, 30)


def domain(values: Sequence[float]) -> tuple[float, float]:
    """The range of an axis with a margin for names."""
    low, high = min(values), max(values)
    margin = 0.07 * (high - low) or abs(high) * 0.1 or 1.0
    return low - margin, high + margin


def named_points(
    rows: Sequence[dict[str, Any]], x_title: str, y_title: str, colour: Any, tooltip: Sequence[Any]
) -> Any:
    """A chart of rows with `x`, `y`, `name` (and what colour and tooltips use), names where there is room."""
    import altair as alt

    across, up = domain([row["x"] for row in rows]), domain([row["y"] for row in rows])
    pixels = [
        ((row["x"] - across[0]) / (across[1] - across[0]) * WIDTH, (up[1] - row["y"]) / (up[1] - up[0]) * HEIGHT)
        for row in rows
    ]
    # The outermost points first: they are what a reader asks about, and have the most room.
    middle = (sum(x for x, _ in pixels) / len(pixels), sum(y for _, y in pixels) / len(pixels))
    order = sorted(range(len(rows)), key=lambda i: -math.hypot(pixels[i][0] - middle[0], pixels[i][1] - middle[1]))
    labels = [last_part(rows[i]["name"]) for i in order]
    places = place_labels([pixels[i] for i in order], labels, WIDTH, HEIGHT, SIZE)
    base = alt.Chart(alt.InlineData(values=[dict(row) for row in rows])).encode(
        x=alt.X("x:Q", title=x_title, scale=alt.Scale(domain=list(across), nice=False)),
        y=alt.Y("y:Q", title=y_title, scale=alt.Scale(domain=list(up), nice=False)),
    )
    layers = [base.mark_circle(size=60, opacity=0.9).encode(color=colour, tooltip=list(tooltip))]
    for key in sorted({place for place in places if place is not None}):
        chosen = [
            {"x": rows[i]["x"], "y": rows[i]["y"], "label": label}
            for i, label, place in zip(order, labels, places, strict=True)
            if place == key
        ]
        mark: dict[str, Any] = {"dx": key[0], "dy": key[1], "align": key[2], "fontSize": SIZE, "color": INK}
        text = alt.Chart(alt.InlineData(values=chosen)).mark_text(**mark)
        layers.append(text.encode(x="x:Q", y="y:Q", text="label:N"))
    return alt.layer(*layers).properties(width=WIDTH, height=HEIGHT)
