"""Printed shares on a logarithmic axis: a bar each, the bounds of rounding as a line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kaibo.figures.style import BAR, INK, LAW
from kaibo.figures.words import count_in_words, percent, word

if TYPE_CHECKING:
    from kaibo.analyses.shares import ShareRow
    from kaibo.vocabulary import Finding


FROM = 0.6
"""Where bars begin, as a part of the least share: a logarithmic axis has no zero."""


def bars(finding: Finding[ShareRow], language: str) -> Any:
    """The largest on top; the one that is asked about in another colour."""
    import altair as alt

    shown = [row for row in finding if row.share > 0]
    least = min(row.share_low or row.share for row in shown)
    rows: list[dict[str, Any]] = [
        {
            "name": row.label,
            "share": row.share,
            "from": FROM * least,
            "low": row.share_low,
            "high": row.share_high,
            "amount": count_in_words(row.amount, language),
            "marked": row.marked,
            "label": f"{percent(row.share)} · {count_in_words(row.amount, language)}",
        }
        for row in shown
    ]
    scale = alt.Scale(type="log", domain=[FROM * least, 12.0], nice=False)
    axis = alt.Axis(format="~%", values=[10.0**power for power in range(-6, 1)], labelOverlap=False)
    x = alt.X("share:Q", title=word("shares.axis", language), scale=scale, axis=axis)
    y = alt.Y("name:N", sort=[row["name"] for row in rows], title=None, axis=alt.Axis(ticks=False, domain=False))
    tips = [
        alt.Tooltip("name:N", title=word("shares.name", language)),
        alt.Tooltip("share:Q", format=".2%", title=word("shares.share", language)),
        alt.Tooltip("low:Q", format=".3%", title=word("shares.low", language)),
        alt.Tooltip("high:Q", format=".3%", title=word("shares.high", language)),
        alt.Tooltip("amount:N", title=word("shares.amount", language)),
    ]
    base = alt.Chart(alt.InlineData(values=rows)).encode(y=y, tooltip=tips)
    colour = alt.condition("datum.marked", alt.value(LAW), alt.value(BAR))
    layers = [
        base.mark_bar(height={"band": 0.7}).encode(x=x, x2="from:Q", color=colour),
        base.transform_filter("datum.low > 0").mark_rule(color=INK, strokeWidth=1.4).encode(x="low:Q", x2="high:Q"),
        base.mark_text(align="left", dx=8, fontSize=10, color=INK).encode(x=alt.X("high:Q"), text="label:N"),
    ]
    return alt.layer(*layers).properties(
        width=560, height={"step": 17}, title=alt.TitleParams(word("shares.title", language))
    )
