"""How far a model reads: loss by position with its band, and the share of passkeys found."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from kaibo.figures.names import model_name
from kaibo.figures.style import MUTED, title
from kaibo.words import word

if TYPE_CHECKING:
    from kaibo.vocabulary import Finding
    from kaibo.vocabulary.running import ContextRow

COLOURS = ["#1f5fbf", "#d62728", "#2a9d5c", "#8a5fbf", "#c07a1c"]


def curves(finding: Finding[ContextRow], language: str) -> Any:
    """Loss by position above, passkeys below; one colour for each way to scale positions."""
    import altair as alt

    ropes = list(dict.fromkeys(row.rope for row in finding))
    scale = alt.Scale(domain=ropes, range=[COLOURS[place % len(COLOURS)] for place in range(len(ropes))])
    colour = alt.Color("rope:N", sort=ropes, scale=scale, title=word("context.rope", language))
    panels = [
        _panel([row for row in finding if row.what == what], what, colour, language)
        for what in ("loss", "passkey")
        if any(row.what == what for row in finding)
    ]
    name = model_name(finding.rows[0].model)
    return alt.vconcat(*panels).properties(title=title(word("context.title", language), [name]))


def _panel(rows: list[ContextRow], what: str, colour: Any, language: str) -> Any:
    import altair as alt

    points = [_point(row) for row in rows]
    x = alt.X("position:Q", title=word("context.position", language), axis=alt.Axis(format="~s"))
    passkey = what == "passkey"
    domain = alt.Scale(domain=[0, 1]) if passkey else alt.Scale(zero=False)
    axis = alt.Axis(format="%") if passkey else alt.Axis()
    y = alt.Y("value:Q", title=word(f"context.{what}", language), scale=domain, axis=axis)
    base = alt.Chart(alt.InlineData(values=points)).encode(x=x, color=colour)
    known = base.transform_filter("isValid(datum.low)")
    band = known.mark_rule(opacity=0.6) if passkey else known.mark_area(opacity=0.18)
    line = base.mark_line(point=passkey, strokeWidth=1.8)
    shown = ["rope:N", "position:Q", "value:Q", "low:Q", "high:Q"]
    layers = [band.encode(y=alt.Y("low:Q", title=""), y2="high:Q"), line.encode(y=y, tooltip=shown)]
    trained = next((row.begin for row in rows if row.extrapolated and row.what == "loss"), None)
    if trained is not None:
        rule = alt.Chart(alt.InlineData(values=[{"position": trained}])).mark_rule(color=MUTED, strokeDash=[4, 4])
        layers.append(rule.encode(x="position:Q"))
    return alt.layer(*layers).properties(width=520, height=130 if passkey else 210)


def _point(row: ContextRow) -> dict[str, Any]:
    position = (row.begin + row.end) / 2 if row.what == "loss" else row.end
    low, high = (None if math.isnan(end) else end for end in (row.low, row.high))
    return {"rope": row.rope, "position": position, "value": row.value, "low": low, "high": high}
