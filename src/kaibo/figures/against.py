"""Scores against size or training FLOPs: a panel a benchmark, a colour a series, the frontier as a line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kaibo.figures.scatter import PALETTE
from kaibo.figures.style import MUTED
from kaibo.figures.words import word

if TYPE_CHECKING:
    from kaibo.analyses.against import AgainstRow
    from kaibo.vocabulary import Finding

MOST_PANELS, COLUMNS = 12, 4
TICKS = {
    "parameters": [1e9, 3e9, 1e10, 3e10, 1e11, 3e11, 1e12],
    "tokens": [1e11, 1e12, 1e13],
    "flops": [1e21, 1e22, 1e23, 1e24, 1e25],
}
LABELS = {
    "parameters": "datum.value / 1e9 + 'B'",
    "tokens": "datum.value / 1e12 + 'T'",
    "flops": "format(datum.value, '~e')",
}
"""Marks of the axes, and how they are spelled: as the models' own names spell their sizes."""

TIPS = (("model", "N"), ("series", "N"), ("x", "Q"), ("score", "Q"), ("leads", "N"), ("times", "N"))
"""What a point says: model, series, size or FLOPs, score, whether it leads, how much more the other side needed."""


def panels(finding: Finding[AgainstRow], language: str) -> Any:
    """One panel for each benchmark; a click on the legend shows one series."""
    import altair as alt

    axis = finding.rows[0].axis
    order = sorted(finding.rows, key=lambda row: (not row.own, row.series))
    series = list(dict.fromkeys(row.series for row in order))
    chosen = alt.selection_point(name=f"series_{axis}", fields=["series"], bind="legend")
    benchmarks = list(dict.fromkeys(row.benchmark for row in finding))[:MOST_PANELS]
    drawn = []
    for place, name in enumerate(benchmarks):
        sides = place >= len(benchmarks) - COLUMNS, place % COLUMNS == 0
        rows = [row for row in finding if row.benchmark == name]
        x, y = _axes(axis, sides, language)
        dots = _dots(rows, series, chosen, language).encode(x=x, y=y)
        heading = alt.TitleParams(name, fontSize=12, fontWeight=600, offset=4)
        drawn.append(alt.layer(_front(rows).encode(x=x, y=y), dots).properties(width=150, height=125, title=heading))
    drawn[0] = drawn[0].add_params(chosen)  # hoisted to the whole figure, whose legend is one
    chart = alt.concat(*drawn, columns=COLUMNS).resolve_scale(x="shared", y="independent", color="shared")
    said = word("against.subtitle", language)
    return chart.properties(title=alt.TitleParams(word(f"against.{axis}_title", language), subtitle=said))


def _axes(against: str, sides: tuple[bool, bool], language: str) -> tuple[Any, Any]:
    """The axes of a panel; only the lowest panels name what is across, only the first of a row what is up."""
    import altair as alt

    below, beside = sides
    axis = alt.Axis(values=TICKS[against], labelExpr=LABELS[against], grid=False)
    across = word(f"against.{against}", language) if below else None
    x = alt.X("x:Q", title=across, axis=axis, scale=alt.Scale(type="log", nice=False, padding=10))
    up = word("against.score", language) if beside else None
    return x, alt.Y("score:Q", title=up, scale=alt.Scale(zero=False, padding=6), axis=alt.Axis(tickCount=4))


def _dots(rows: list[AgainstRow], series: list[str], chosen: Any, language: str) -> Any:
    """The models: a colour a series, a circle for the one in question and a diamond for the rest."""
    import altair as alt

    sides = [word("against.own", language), word("against.rest", language)]
    points = [
        {
            "model": row.model,
            "series": row.series,
            "side": sides[0] if row.own else sides[1],
            "x": row.x,
            "score": row.value,
            "leads": word("terms.yes" if row.leads else "terms.no", language),
            "times": word("against.unreached", language) if row.needed_times is None else f"{row.needed_times:.3g} ×",
        }
        for row in rows
    ]
    colours = alt.Scale(domain=series, range=[PALETTE[place % len(PALETTE)] for place in range(len(series))])
    legend, shapes = alt.Legend(orient="bottom", columns=6), alt.Scale(domain=sides, range=["circle", "diamond"])
    tips = [alt.Tooltip(f"{name}:{kind}", title=word(f"against.tip_{name}", language)) for name, kind in TIPS]
    return (
        alt.Chart(alt.InlineData(values=points))
        .mark_point(filled=True, size=62)
        .encode(
            color=alt.Color(
                "series:N", sort=series, scale=colours, title=word("against.series", language), legend=legend
            ),
            shape=alt.Shape("side:N", title=word("against.side", language), scale=shapes, legend=legend),
            opacity=alt.condition(chosen, alt.value(0.95), alt.value(0.08)),
            tooltip=tips,
        )
    )


def _front(rows: list[AgainstRow]) -> Any:
    """A stair through the models that nobody of their size or less beats."""
    import altair as alt

    led = [{"x": row.x, "score": row.value} for row in rows if row.leads]
    return alt.Chart(alt.InlineData(values=led)).mark_line(
        interpolate="step-after", color=MUTED, strokeDash=[3, 3], strokeWidth=1.2
    )
