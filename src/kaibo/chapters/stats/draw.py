"""σ and excess kurtosis over depth: a line per role, and the same as maps of layer by role."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

from kaibo.figures.names import labels_of, short
from kaibo.figures.style import BAR, LAW, MIXTURE, panel_width, panels, title
from kaibo.words import word

if TYPE_CHECKING:
    from kaibo.chapters.stats.rows import MagnitudeRow, ProfileRow
    from kaibo.vocabulary import Finding

Quantity = Literal["std", "kurtosis"]

NUMBERS: dict[Quantity, str] = {"std": "~g", "kurtosis": ",d"}
"""How the marks of an axis are written; those of kurtosis are whole numbers."""

HUGE = 1e300
"""Beyond this (also NaN and infinity) no axis has room around a value."""

DECADES = tuple(sign * step * 10.0**power for sign in (-1, 1) for power in range(7) for step in (1, 3))
"""Marks on a symmetric logarithmic axis, for which Vega finds none that stay apart."""


def std_over_depth(finding: Finding[ProfileRow], language: str) -> Any:
    """σ in each layer, a line per role, on a logarithmic axis."""
    return _lines(finding, "std", language)


def kurtosis_over_depth(finding: Finding[ProfileRow], language: str) -> Any:
    """Excess kurtosis in each layer, a line per role, on an axis that is logarithmic away from zero."""
    return _lines(finding, "kurtosis", language)


def std_map(finding: Finding[ProfileRow], language: str) -> Any:
    """σ as colour: a column per layer, a row per role."""
    return _map(finding, "std", language)


def kurtosis_map(finding: Finding[ProfileRow], language: str) -> Any:
    """Excess kurtosis as colour: a column per layer, a row per role."""
    return _map(finding, "kurtosis", language)


def _records(finding: Finding[ProfileRow], quantity: Quantity) -> list[dict[str, Any]]:
    """A record per cell that can be drawn: finite, and above zero where the axis is logarithmic."""
    labels = labels_of((row.model for row in finding.rows), 44)
    cells = []
    for row in finding.rows:
        value = getattr(row, quantity)
        if value is not None and abs(value) < HUGE and (value > 0 or quantity == "kurtosis"):
            cells.append(
                {"model": labels[row.model], "layer": row.layer, "role": short(row.role), "n": row.n, "value": value}
            )
    return cells


def _scale(records: list[dict[str, Any]], quantity: Quantity, **more: Any) -> Any:
    import altair as alt

    values = [record["value"] for record in records] or [1.0]
    if quantity == "kurtosis":
        return alt.Scale(type="symlog", constant=1, domain=[1.2 * min(0.0, *values), 1.2 * max(1.0, *values)], **more)
    low, high = min(values), max(values)
    return alt.Scale(type="log", domain=[low / 1.15, high * 1.15], nice=False, **more)


def _marks(records: list[dict[str, Any]], quantity: Quantity) -> list[float]:
    """Where the axis has labels: 1, 2, 5 a decade for σ (1 a decade if many), ±1, 3, 10 … for kurtosis; ten at most."""
    values = [record["value"] for record in records] or [1.0]
    low, high = min(values), max(values)
    if quantity == "kurtosis":
        marks = [0.0, *(mark for mark in DECADES if min(0.0, low) <= mark <= max(1.0, high))]
        return sorted(mark for mark in marks if len(marks) <= 10 or not f"{abs(mark):.0e}".startswith("3"))
    powers = range(math.floor(math.log10(low / 1.15)), math.ceil(math.log10(high * 1.15)) + 1)
    for steps in ((1, 1.5, 2, 3, 4, 5, 6, 8), (1, 2, 5), (1, 3), (1,)):
        marks = [step * 10.0**power for power in powers for step in steps]
        kept = [mark for mark in marks if low / 1.15 <= mark <= high * 1.15]
        if len(kept) <= 10:
            return kept
    return kept[:: math.ceil(len(kept) / 10)]


def _layer_marks(finding: Finding[ProfileRow]) -> list[int]:
    """Layer numbers that are labelled: every one, or every 2nd, 5th, 10th … so that some twenty remain."""
    layers = sorted({row.layer for row in finding.rows})
    step = next(step for step in (1, 2, 5, 10, 20, 50, 100, 1000, 10**9) if len(layers) / step <= 24)
    return [layer for layer in layers if layer % step == 0]


def _tooltip(quantity: Quantity, language: str) -> list[Any]:
    import altair as alt

    return [
        alt.Tooltip("role:N", title=word("profile.role", language)),
        alt.Tooltip("layer:O", title=word("columns.layer", language)),
        alt.Tooltip("value:Q", title=word(f"profile.{quantity}", language), format=".4g"),
        alt.Tooltip("n:Q", title=word("profile.values", language), format=","),
    ]


def _lines(finding: Finding[ProfileRow], quantity: Quantity, language: str) -> Any:
    import altair as alt

    records, labels = _records(finding, quantity), list(labels_of((row.model for row in finding.rows), 44).values())
    axis = alt.Axis(values=_marks(records, quantity), format=NUMBERS[quantity])
    layers = alt.Axis(values=_layer_marks(finding), format="d", grid=False)
    roles = list(dict.fromkeys(short(row.role) for row in finding.rows))
    chosen = alt.selection_point(name=f"role_{quantity}", fields=["role"], bind="legend")
    chart = (
        alt.Chart(alt.InlineData(values=records), name=f"depth_{quantity}")
        .mark_line(point=alt.OverlayMarkDef(size=22), strokeWidth=1.6, clip=True)
        .encode(
            x=alt.X(
                "layer:Q", title=word("profile.layer", language), axis=layers, scale=alt.Scale(nice=False, zero=False)
            ),
            y=alt.Y("value:Q", title=word(f"profile.{quantity}", language), axis=axis, scale=_scale(records, quantity)),
            color=alt.Color(
                "role:N",
                sort=roles,
                scale=alt.Scale(scheme="tableau10" if len(roles) <= 10 else "tableau20"),
                legend=alt.Legend(title=word("profile.role", language), symbolType="circle"),
            ),
            opacity=alt.condition(chosen, alt.value(1), alt.value(0.12)),
            tooltip=_tooltip(quantity, language),
        )
        .add_params(chosen)
        .properties(width=panel_width(len(labels)), height=max(260, 15 * len(roles)))
    )
    return panels(chart, labels).properties(title=title(word(f"profile.{quantity}_title", language), labels))


def _map(finding: Finding[ProfileRow], quantity: Quantity, language: str) -> Any:
    import altair as alt

    records, labels = _records(finding, quantity), list(labels_of((row.model for row in finding.rows), 44).values())
    roles = list(dict.fromkeys(short(row.role) for row in finding.rows))
    layers = {row.layer for row in finding.rows}
    scheme = "inferno" if quantity == "std" else "yelloworangered"
    legend = alt.Legend(
        title=word(f"profile.{quantity}", language),
        orient="bottom",
        gradientLength=260,
        values=_marks(records, quantity),
        format=NUMBERS[quantity],
        labelOverlap="greedy",
    )
    chart = (
        alt.Chart(alt.InlineData(values=records))
        .mark_rect()
        .encode(
            x=alt.X(
                "layer:O",
                title=word("profile.layer", language),
                axis=alt.Axis(values=_layer_marks(finding), labelAngle=0, ticks=False),
            ),
            y=alt.Y("role:N", sort=roles, title=None, axis=alt.Axis(ticks=False)),
            color=alt.Color("value:Q", scale=_scale(records, quantity, scheme=scheme), legend=legend),
            tooltip=_tooltip(quantity, language),
        )
        .properties(width=min(panel_width(len(labels), 640), max(120, 22 * len(layers))), height={"step": 20})
    )
    heading = word(f"profile.{quantity}_map_title", language)
    return panels(chart, labels).properties(title=title(heading, labels))


LEAST = 1e-11
"""The least share that is drawn: about one weight in the largest models."""


def histogram(finding: Finding[MagnitudeRow], language: str) -> Any:
    """Bars of the share between one power of two and the next, the two Gaussian nulls as lines over them."""
    labels = labels_of((row.model for row in finding.rows), 44)
    chart = _one_panel(_magnitude_records(finding, labels, language), panel_width(len(labels)), language)
    return panels(chart, list(labels.values())).properties(
        title=title(word("magnitudes.title", language), list(labels.values()))
    )


def _magnitude_records(finding: Finding[MagnitudeRow], labels: dict[str, str], language: str) -> list[dict[str, Any]]:
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
