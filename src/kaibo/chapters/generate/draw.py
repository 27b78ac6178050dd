"""What a wrong prompt format costs: a dot with its interval for each format, in nats per token of the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kaibo.figures.names import model_names
from kaibo.figures.scatter import PALETTE
from kaibo.figures.style import MUTED
from kaibo.words import word

if TYPE_CHECKING:
    from kaibo.chapters.generate.rows import FormatRow
    from kaibo.vocabulary import Finding


def costs(finding: Finding[FormatRow], language: str) -> Any:
    """The model's own format stands at zero; what lies to the right makes the same answers less likely."""
    import altair as alt

    names = model_names(row.model for row in finding)
    models = list(dict.fromkeys(names[row.model] for row in finding))
    shown = {row.format: word(f"formats.{row.format}", language) for row in finding}
    points = [
        {
            "model": names[row.model],
            "format": shown[row.format],
            "cost": row.cost or 0.0,
            "low": row.cost_low,
            "high": row.cost_high,
            "ppl": row.ppl,
            "chats": row.chats,
            "tokens": row.tokens,
        }
        for row in finding
        if row.right or row.cost is not None
    ]
    colours = alt.Scale(domain=models, range=[PALETTE[place % len(PALETTE)] for place in range(len(models))])
    legend = alt.Legend(orient="bottom", title=None) if len(models) > 1 else None
    base = alt.Chart(alt.InlineData(values=points)).encode(
        y=alt.Y("format:N", sort=list(shown.values()), title=None, axis=alt.Axis(ticks=False, domain=False)),
        yOffset=alt.YOffset("model:N", sort=models),
        color=alt.Color("model:N", sort=models, scale=colours, legend=legend),
    )
    tips = [alt.Tooltip(f"{name}:{kind}", title=word(f"formats.tip_{name}", language)) for name, kind in TIPS]
    dots = base.mark_circle(size=80, opacity=1).encode(
        x=alt.X("cost:Q", title=word("formats.axis", language)), tooltip=tips
    )
    bars = base.transform_filter("isValid(datum.low)").mark_rule(strokeWidth=1.8).encode(x="low:Q", x2="high:Q")
    zero = alt.Chart(alt.InlineData(values=[{"cost": 0}])).mark_rule(color=MUTED, strokeDash=[4, 3])
    return alt.layer(zero.encode(x="cost:Q"), bars, dots).properties(
        width=500, height={"step": max(24, 18 * len(models)), "for": "position"},
        title=alt.TitleParams(word("formats.title", language)),
    )  # fmt: skip


TIPS = (
    *(("model", "N"), ("format", "N"), ("cost", "Q"), ("low", "Q"), ("high", "Q"), ("ppl", "Q"), ("chats", "Q")),
    ("tokens", "Q"),
)
