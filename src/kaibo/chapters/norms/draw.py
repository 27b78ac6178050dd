"""Norms that somebody reported or reckoned, against the bound L1 ≤ √n·L2 that every vector obeys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kaibo.figures.names import distinct
from kaibo.figures.style import GAUSSIAN, INK, LAW, MIXTURE, panels, title
from kaibo.words import said, word

if TYPE_CHECKING:
    from kaibo.chapters.norms.rows import NormsRow, SizeRow, WayRow
    from kaibo.vocabulary import Finding

HUES = (MIXTURE, LAW, "#8c6bb1", "#2a9d62")
"""Right, in float16, in bfloat16, averaged."""


def reported(finding: Finding[NormsRow], language: str) -> Any:
    """A bar for each row: L1 as a multiple of √n·L2; what passes 1 cannot be."""
    names = distinct([row.vector or f"{row.l1:.6g}, {row.l2:.6g}" for row in finding.rows], 40)
    records = [
        {"model": name, "times": row.times, "can": word(f"norms.{'can' if row.holds else 'cannot'}", language)}
        for name, row in zip(names, finding.rows, strict=True)
        if row.times is not None
    ]
    return _bars(records, names, language).properties(width=480, title=title(word("norms.title", language), []))


def ways(finding: Finding[WayRow], language: str) -> Any:
    """A bar for each way, a panel for each difference."""
    hows = list(dict.fromkeys(said(row.way, language) for row in finding.rows))
    pairs = list(dict.fromkeys(row.pair for row in finding.rows))
    records = [
        {
            "model": said(row.way, language),
            "pair": row.pair,
            "times": row.times,
            "can": word(f"norms.{'can' if row.holds else 'cannot'}", language),
        }
        for row in finding.rows
        if row.times == row.times
    ]
    one = _bars(records, hows, language).properties(width=270 if len(pairs) > 1 else 480)
    heading = title(word("norms.ways_title", language), [])
    if len(pairs) < 2:
        return one.properties(title=heading)
    import altair as alt

    header = alt.Header(title=None, labelOrient="top", labelAnchor="start")
    return one.facet(facet=alt.Facet("pair:N", sort=pairs, header=header), columns=2).properties(title=heading)


def _bars(records: list[dict[str, Any]], names: list[str], language: str) -> Any:
    """Points on a logarithmic axis, a line from the bound to each, red where the row cannot be."""
    import altair as alt

    can = [word("norms.can", language), word("norms.cannot", language)]
    for record in records:
        record["bound"] = 1.0
    times = [record["times"] for record in records] or [1.0]
    domain = [min(0.5, *times) / 1.25, max(2.0, *times) * 1.25]
    data = alt.Chart(alt.InlineData(values=records))
    x = alt.X(
        "times:Q",
        title=word("norms.times", language),
        scale=alt.Scale(type="log", domain=domain, nice=False),
        axis=alt.Axis(format="~g", tickCount=5, labelOverlap=True),
    )
    y = alt.Y("model:N", sort=names, title=None, axis=alt.Axis(labelLimit=330, ticks=False, domain=False))
    colour = alt.Color(
        "can:N",
        scale=alt.Scale(domain=can, range=[MIXTURE, LAW]),
        legend=alt.Legend(title=None, orient="bottom", symbolType="circle"),
    )
    tooltip = ["model:N", alt.Tooltip("times:Q", title=word("norms.times", language), format=".4g")]
    line = data.mark_rule(strokeWidth=3, opacity=0.35).encode(x=x, x2="bound:Q", y=y, color=colour)
    dots = data.mark_circle(size=80, opacity=1).encode(x=x, y=y, color=colour, tooltip=tooltip)
    bound = data.mark_rule(color=INK, strokeDash=[4, 3]).encode(x=alt.X("bound:Q", title=word("norms.times", language)))
    return alt.layer(bound, line, dots).properties(height=alt.Step(26))


def sizes(finding: Finding[SizeRow], language: str) -> Any:
    """L1 ÷ (√n·L2) over the mean |Δ|: a line for each way, a panel for each difference, reported rows as diamonds."""
    import altair as alt

    reckoned = [row for row in finding.rows if row.factor is not None and row.times == row.times]
    points = [row for row in finding.rows if row.factor is None and row.times == row.times]
    pairs = list(dict.fromkeys(row.pair for row in reckoned))
    hows = list(dict.fromkeys(said(row.way, language) for row in reckoned))
    most = max(12.0, *(1.2 * row.times for row in points)) if points else 12.0
    reported_as = word("norms.reported", language)
    lines = [
        {"model": row.pair, "how": said(row.way, language), "x": row.mean_absolute, "times": row.times}
        for row in reckoned
        if row.times <= most
    ]
    seen = [
        {"model": pair, "how": reported_as, "name": row.pair, "x": row.mean_absolute, "times": row.times}
        for pair in pairs
        for row in points
    ]
    colour = alt.Color(
        "how:N",
        scale=alt.Scale(domain=[*hows, reported_as], range=[*HUES[: len(hows)], INK]),
        legend=alt.Legend(title=None, orient="bottom", columns=2, labelLimit=360, symbolType="circle"),
    )
    # Where two ways give the same, the one below shows through the dashes of the other.
    dashes = [[1, 0], [1, 0], [5, 4], [1, 0]][: len(hows)]
    dash = alt.StrokeDash("how:N", scale=alt.Scale(domain=hows, range=dashes), legend=None)
    x = alt.X(
        "x:Q",
        title=word("norms.mean_absolute", language),
        scale=alt.Scale(type="log", nice=False),
        axis=alt.Axis(format="~e", tickCount=4, labelOverlap=True),
    )
    y = alt.Y(
        "times:Q",
        title=word("norms.times", language),
        scale=alt.Scale(type="log", domain=[0.5, most], nice=False),
        axis=alt.Axis(values=[0.5, 0.7, 1, 1.5, 2, 3, 5, 10], format="~g"),
    )
    data = alt.InlineData(values=[*lines, *seen, *({"model": pair, "bound": 1.0} for pair in pairs)])
    base = alt.Chart(data)
    layers = [
        base.transform_filter("isValid(datum.bound)")
        .mark_rule(color=GAUSSIAN, strokeDash=[4, 3])
        .encode(y=alt.Y("bound:Q", title=word("norms.times", language))),
        base.transform_filter("isValid(datum.times) && !isValid(datum.name)")
        .mark_line(strokeWidth=2, clip=True)
        .encode(x=x, y=y, color=colour, strokeDash=dash),
        base.transform_filter("isValid(datum.name)")
        .mark_point(shape="diamond", filled=True, size=90, opacity=1)
        .encode(x=x, y=y, color=colour, tooltip=["name:N", alt.Tooltip("times:Q", format=".4g")]),
    ]
    chart = alt.layer(*layers).properties(width=300 if len(pairs) > 1 else 520, height=300)
    return panels(chart, pairs).properties(title=title(word("norms.sizes_title", language), pairs))
