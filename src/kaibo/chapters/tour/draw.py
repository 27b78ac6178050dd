"""The pictures of a tour: scores under three kinds of position, and how far a base reaches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kaibo.figures.style import MUTED, title
from kaibo.words import word

if TYPE_CHECKING:
    from kaibo.vocabulary import Finding
    from kaibo.vocabulary.running import TourRow

KINDS = ("absolute", "relative", "rotary")


def _stop(finding: Finding[TourRow], name: str) -> TourRow:
    return next(row for row in finding if row.stop == name)


def positions(finding: Finding[TourRow], language: str) -> Any:
    """One square a kind of position: rows are queries, columns keys, the colour is the score."""
    import altair as alt

    panels = []
    for kind in KINDS:
        cells = [
            {"query": int(point.series.partition(":")[2]), "key": int(point.x), "score": point.y}
            for point in _stop(finding, "positions").points
            if point.series.startswith(f"{kind}:")
        ]
        scores = [cell["score"] for cell in cells] or [0.0]
        scale = alt.Scale(scheme="blues", domain=[min(scores), max(scores)])
        squares = alt.Chart(alt.InlineData(values=cells)).mark_rect()
        panels.append(
            squares.encode(
                x=alt.X("key:O", title=word("tour.key", language), axis=alt.Axis(labelAngle=0)),
                y=alt.Y("query:O", title=word("tour.query", language) if kind == KINDS[0] else None),
                color=alt.Color("score:Q", scale=scale, legend=None),
                tooltip=["query:O", "key:O", "score:Q"],
            ).properties(
                width=190, height=190, title=alt.TitleParams(word(f"tour.{kind}", language), fontSize=12, offset=6)
            )
        )
    row = alt.hconcat(*panels).resolve_scale(color="independent")
    return row.properties(title=title(word("tour.positions_title", language), []))


def base(finding: Finding[TourRow], language: str) -> Any:
    """Agreement over distance, one line a base; below zero a matching key scores less than a random one."""
    import altair as alt

    stop = _stop(finding, "base")
    points = [{"base": point.series, "distance": point.x, "agreement": point.y} for point in stop.points]
    names = list(dict.fromkeys(point.series for point in stop.points))
    scale = alt.Scale(domain=names, range=["#9ecae1", "#3182bd", "#08306b"])
    lines = (
        alt.Chart(alt.InlineData(values=points))
        .mark_line(strokeWidth=2)
        .encode(
            x=alt.X(
                "distance:Q",
                scale=alt.Scale(type="log", nice=False),
                title=word("tour.distance", language),
                axis=alt.Axis(format="~s", tickCount=6),
            ),
            y=alt.Y("agreement:Q", title=word("tour.agreement", language)),
            color=alt.Color("base:N", sort=names, scale=scale, title=word("tour.base", language)),
            tooltip=["base:N", "distance:Q", "agreement:Q"],
        )
    )
    zero = alt.Chart(alt.InlineData(values=[{"agreement": 0}])).mark_rule(color=MUTED, strokeDash=[4, 4])
    layers = alt.layer(zero.encode(y="agreement:Q"), lines)
    return layers.properties(width=520, height=260, title=title(word("tour.base_title", language), []))
