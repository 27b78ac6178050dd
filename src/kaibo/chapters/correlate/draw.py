"""One measurement against another: named points for one pair, a map of r for many."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kaibo.figures.scatter import named_points
from kaibo.figures.style import INK, MIXTURE, title
from kaibo.words import word

if TYPE_CHECKING:
    from kaibo.chapters.correlate.relation import CorrelateRow
    from kaibo.vocabulary import Finding


def scatter(finding: Finding[CorrelateRow], language: str) -> Any:
    """The joined points with names, r with its interval below the title; a map where there are several pairs."""
    import altair as alt

    if len(finding.rows) > 1:
        return heat_map(finding, language)
    row = finding.rows[0]
    points = [{"x": p.x, "y": p.y, "name": p.model} for p in row.points if p.x is not None and p.y is not None]
    if not points:
        points = [{"x": 0.0, "y": 0.0, "name": word("relation.none", language)}]
    chart = named_points(points, row.x, row.y, alt.value(MIXTURE), ["name:N", "x:Q", "y:Q"])
    values = {
        "r": f"{row.pearson:.2f}",
        "low": f"{row.low:.2f}",
        "high": f"{row.high:.2f}",
        "n": row.n,
        "p": f"{row.p:.3g}",
    }
    said = [word("relation.said", language, **values)]
    if row.needed is not None:
        said.append(word("relation.needed", language, needed=row.needed))
    return chart.properties(title=alt.TitleParams(word("relation.title", language), subtitle=said))


def heat_map(finding: Finding[CorrelateRow], language: str) -> Any:
    """Pearson's r of every pair, `*` where it holds after correction."""
    import altair as alt

    cells = [
        {"x": row.x, "y": row.y, "r": row.pearson, "text": f"{row.pearson:.2f}" + ("*" if (row.q or 1) < 0.05 else "")}
        for row in finding
        if row.pearson == row.pearson
    ]
    across, up = list(dict.fromkeys(row.x for row in finding)), list(dict.fromkeys(row.y for row in finding))
    base = alt.Chart(alt.InlineData(values=cells)).encode(
        x=alt.X("x:N", sort=across, title=None, axis=alt.Axis(labelAngle=-40, orient="bottom", labelLimit=240)),
        y=alt.Y("y:N", sort=up, title=None, axis=alt.Axis(labelLimit=300)),
    )
    colour = alt.Color("r:Q", scale=alt.Scale(scheme="redblue", domain=[-1, 1]), title="r")
    chart = base.mark_rect().encode(color=colour, tooltip=["x:N", "y:N", "r:Q"])
    if len(cells) <= 400:
        strong = alt.condition("abs(datum.r) > 0.65", alt.value("white"), alt.value(INK))
        chart = chart + base.mark_text(fontSize=10).encode(text="text:N", color=strong)
    width, height = max(42 * len(across), 120), max(24 * len(up), 60)
    return chart.properties(width=width, height=height, title=title(word("relation.map_title", language), []))
