"""How the weights spread over powers of two, beside what Gaussian weights would do."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from kaibo.figures.names import labels_of
from kaibo.figures.style import BAR, LAW, MIXTURE, panel_width, panels, title
from kaibo.figures.words import word

if TYPE_CHECKING:
    from kaibo.analyses.records import MagnitudeRow
    from kaibo.vocabulary import Finding

LEAST = 1e-11
"""The least share that is drawn: about one weight in the largest models."""


def histogram(finding: Finding[MagnitudeRow], language: str) -> Any:
    """Bars of the share between one power of two and the next, the two Gaussian nulls as lines over them."""
    labels = labels_of((row.model for row in finding.rows), 44)
    chart = _one_panel(_records(finding, labels, language), panel_width(len(labels)), language)
    return panels(chart, list(labels.values())).properties(
        title=title(word("magnitudes.title", language), list(labels.values()))
    )


def _records(finding: Finding[MagnitudeRow], labels: dict[str, str], language: str) -> list[dict[str, Any]]:
    return [
        {
            "model": labels[row.model],
            "series": word("magnitudes.measured", language),
            "exponent": row.exponent,
            "count": row.count,
            "share": _drawn(row.share),
            "gaussian": _drawn(row.gaussian),
            "mixture": _drawn(row.mixture),
        }
        for row in finding.rows
    ]


def _drawn(share: float | None) -> float | None:
    """In percent, None where it is too small for a logarithmic axis."""
    return 100 * share if share is not None and math.isfinite(share) and share >= LEAST else None


def _one_panel(records: list[dict[str, Any]], width: int, language: str) -> Any:
    import altair as alt

    texts = [word(f"magnitudes.{name}", language) for name in ("measured", "gaussian", "mixture")]
    scale = alt.Scale(domain=texts, range=[BAR, LAW, MIXTURE])
    legend = alt.Legend(title=None, orient="bottom", columns=3, symbolType="square", symbolStrokeWidth=0)
    colour = alt.Color("series:N", scale=scale, legend=legend)  # the lines' datums share its scale
    shares = [record["share"] for record in records if record["share"] is not None] or [100.0]
    floor = 10.0 ** math.floor(math.log10(min(shares)) - 0.2)
    exponents = [record["exponent"] for record in records] or [0]
    steps = max(1, math.ceil((max(exponents) - min(exponents)) / (width / 34)))
    marks = [k for k in range(min(exponents), max(exponents) + 1) if k % steps == 0]
    x = alt.X(
        "exponent:Q",
        title=word("magnitudes.exponent", language),
        axis=alt.Axis(values=marks, format="d", grid=False),
        scale=alt.Scale(domain=[min(exponents) - 1, max(exponents) + 1], nice=False),
    )
    decades = [10.0**power for power in range(round(math.log10(floor)), 3)]
    axis = alt.Axis(values=decades[:: math.ceil(len(decades) / 8)], format="~g")
    y: dict[str, Any] = {
        "title": word("magnitudes.share", language),
        "axis": axis,
        "scale": alt.Scale(type="log", domain=[floor, 100], nice=False),
    }
    tooltip = [
        alt.Tooltip("exponent:Q", title="k"),
        alt.Tooltip("count:Q", title=word("columns.count", language), format=","),
        *(
            alt.Tooltip(f"{name}:Q", title=f"{text} (%)", format=".3g")
            for name, text in zip(("share", "gaussian", "mixture"), texts, strict=True)
        ),
    ]
    base = alt.Chart(alt.InlineData(values=records)).encode(x=x)
    size = max(2.0, 0.8 * width / (max(exponents) - min(exponents) + 2))
    bars = base.mark_bar(size=size, clip=True).encode(
        y=alt.Y("share:Q", **y), y2=alt.datum(floor), color=colour, tooltip=tooltip
    )
    lines = [
        base.mark_line(interpolate="monotone", strokeWidth=width_, clip=True, strokeDash=dash).encode(
            y=alt.Y(f"{name}:Q", **y), color=alt.datum(text)
        )
        for name, text, width_, dash in (("mixture", texts[2], 1.6, [5, 3]), ("gaussian", texts[1], 1.8, [1, 0]))
    ]
    return alt.layer(bars, *lines).properties(width=width, height=280)
