"""Perplexity over the share of a text that was replaced, its floor, and what the clean text costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kaibo.figures.names import labels_of
from kaibo.figures.style import INK, MUTED, title
from kaibo.words import word

if TYPE_CHECKING:
    from kaibo.chapters.corrupt.rows import CorruptRow
    from kaibo.vocabulary import Finding

WIDTH, HEIGHT = 520, 340
COLOURS = ("#1f5fbf", "#d62728", "#2a9d5c", "#9157b5", "#d98215", "#4a5563", "#17a2b8", "#8c564b")


def curves(finding: Finding[CorruptRow], language: str) -> Any:
    """A line and its 95 % band for each model, the floor dashed, each model's clean perplexity dotted."""
    import altair as alt

    rows = [row for row in finding.rows if row.ppl is not None]
    labels = labels_of(row.model for row in rows)
    points = [_point(row, labels[row.model]) for row in rows]
    floors = {row.share: row.floor for row in rows}
    said = word("corrupt.floor", language)
    floor = [{"share": 100 * share, "ppl": value, "model": said} for share, value in sorted(floors.items())]
    clean = [point for point in points if point["share"] == 0]
    shown = [*labels.values(), said]
    colours = [*(COLOURS[place % len(COLOURS)] for place in range(len(labels))), INK]
    colour = alt.Color(
        "model:N",
        sort=shown,
        scale=alt.Scale(domain=shown, range=colours),
        legend=alt.Legend(title=None, orient="bottom", columns=3),
    )
    x = alt.X("share:Q", title=word(f"corrupt.share_{rows[0].unit}" if rows else "corrupt.share_token", language))
    y = alt.Y(
        "ppl:Q",
        title=word("corrupt.ppl", language),
        scale=alt.Scale(type="log"),
        axis=alt.Axis(format="~s", tickCount=6),
    )
    base = alt.Chart(alt.InlineData(values=points)).encode(x=x, color=colour)
    tips = ["model:N", "share:Q", "ppl:Q", "low:Q", "high:Q", "floor:Q"]
    layers = [
        base.transform_filter("datum.low !== null").mark_area(opacity=0.15).encode(y="low:Q", y2="high:Q"),
        base.mark_line(point=alt.OverlayMarkDef(size=40), strokeWidth=1.8).encode(y=y, tooltip=tips),
        alt.Chart(alt.InlineData(values=floor))
        .mark_line(strokeDash=[6, 4], strokeWidth=2)
        .encode(x=x, y=y, color=colour),
        alt.Chart(alt.InlineData(values=clean)).mark_rule(strokeDash=[1, 4]).encode(y=y, color=colour),
        alt.Chart(
            alt.InlineData(values=clean[:1] and [{**clean[0], "share": 100, "text": word("corrupt.clean", language)}])
        )
        .mark_text(align="right", dy=-7, fontSize=10, color=MUTED)
        .encode(x=x, y=y, text="text:N"),
    ]
    heading = word(f"corrupt.title_{rows[0].mode}" if rows else "corrupt.title_uniform", language)
    return alt.layer(*layers).properties(width=WIDTH, height=HEIGHT, title=title(heading, list(labels.values())))


def _point(row: CorruptRow, label: str) -> dict[str, Any]:
    return {
        "model": label,
        "share": 100 * row.share,
        "ppl": row.ppl,
        "low": row.ppl_low,
        "high": row.ppl_high,
        "floor": row.floor,
    }
