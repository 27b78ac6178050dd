"""Scores against size or training FLOPs: a panel a benchmark, a colour a series, the frontier as a line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kaibo.figures.scatter import PALETTE
from kaibo.figures.style import MUTED
from kaibo.figures.words import word

if TYPE_CHECKING:
    from kaibo.analyses.against import AgainstRow
    from kaibo.vocabulary import Finding

MOST_PANELS = 12


def panels(finding: Finding[AgainstRow], language: str) -> Any:
    """One panel for each benchmark; a click on the legend shows one series."""
    import altair as alt

    axis = finding.rows[0].against
    series = [row.series for row in sorted(finding.rows, key=lambda row: not row.own)]
    names = list(dict.fromkeys(series))
    chosen = alt.selection_point(name=f"series_{axis}", fields=["series"], bind="legend")
    benchmarks = list(dict.fromkeys(row.benchmark for row in finding))[:MOST_PANELS]
    drawn = [
        _panel([row for row in finding if row.benchmark == name], names, chosen, language) for name in benchmarks
    ]
    drawn[0] = drawn[0].add_params(chosen)  # hoisted to the whole figure, whose legend is one
    chart = alt.concat(*drawn, columns=4).resolve_scale(x="shared", y="independent", color="shared", shape="shared")
    said = word("against.subtitle", language)
    return chart.properties(
        title=alt.TitleParams(word(f"against.{axis}_title", language), subtitle=said)
    )


def _panel(rows: list[AgainstRow], names: list[str], chosen: Any, language: str) -> Any:
    import altair as alt

    mark, other = word("against.own", language), word("against.rest", language)
    points = [
        {
            "model": row.model,
            "series": row.series,
            "side": mark if row.own else other,
            "x": row.x,
            "score": row.value,
            "leads": word("terms.yes" if row.leads else "terms.no", language),
            "times": word("against.unreached", language) if row.times is None else f"{row.times:.3g} ×",
        }
        for row in rows
    ]
    axis = alt.Axis(format="~s" if rows[0].against != "flops" else "~e", tickCount=4, labelOverlap=True, grid=False)
    x = alt.X("x:Q", title=None, axis=axis, scale=alt.Scale(type="log", nice=False, padding=10))
    y = alt.Y("score:Q", title=None, scale=alt.Scale(zero=False, padding=6), axis=alt.Axis(tickCount=4))
    colours = alt.Scale(domain=names, range=[PALETTE[place % len(PALETTE)] for place in range(len(names))])
    colour = alt.Color("series:N", sort=names, scale=colours, title=word("against.series", language))
    shape = alt.Shape(
        "side:N", title=word("against.side", language), scale=alt.Scale(domain=[mark, other], range=["circle", "diamond"])
    )
    tips = [alt.Tooltip(f"{name}:{kind}", title=word(f"against.tip_{name}", language)) for name, kind in TIPS]
    base = alt.Chart(alt.InlineData(values=points))
    dots = base.mark_point(filled=True, size=62).encode(
        x=x, y=y, color=colour, shape=shape, tooltip=tips, opacity=alt.condition(chosen, alt.value(0.95), alt.value(0.08))
    )
    led = [{"x": row.x, "score": row.value} for row in rows if row.leads]
    front = alt.Chart(alt.InlineData(values=led)).mark_line(
        interpolate="step-after", color=MUTED, strokeDash=[3, 3], strokeWidth=1.2
    )
    heading = alt.TitleParams(rows[0].benchmark, fontSize=12, fontWeight=600, offset=4)
    return alt.layer(front.encode(x=x, y=y), dots).properties(width=165, height=130, title=heading)


TIPS = (("model", "N"), ("series", "N"), ("x", "Q"), ("score", "Q"), ("leads", "N"), ("times", "N"))
"""What a point says: model, series, size or FLOPs, score, whether it leads, how much more the other side needed."""

