"""Scores on tasks: a dot with its interval for each model, the level of guessing, and what other prompts give."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kaibo.figures.names import model_names
from kaibo.figures.style import INK, LAW, MIXTURE
from kaibo.words import word

if TYPE_CHECKING:
    from kaibo.chapters.eval.rows import EvalRow
    from kaibo.vocabulary import Finding

MOST_PANELS = 24


def has(finding: Finding[EvalRow], name: str) -> bool:
    """Whether there is a score between 0 and 1 to be drawn; perplexities stand in the table."""
    return bool(_rows(finding))


def _rows(finding: Finding[EvalRow]) -> list[EvalRow]:
    return [row for row in finding if not row.metric.startswith("ppl") and row.n]


def scores(finding: Finding[EvalRow], language: str) -> Any:
    """A panel for each task and measure, a line for each model."""
    import altair as alt

    rows = _rows(finding)
    names = model_names(row.model for row in rows)
    kinds = list(dict.fromkeys((row.task, row.metric) for row in rows))[:MOST_PANELS]
    panels = [
        _panel([row for row in rows if (row.task, row.metric) == kind], names, language, last=place == len(kinds) - 1)
        for place, kind in enumerate(kinds)
    ]
    chart = alt.vconcat(*panels, spacing=14).resolve_scale(x="shared")
    said = f"● 95 %   ○ {word('eval.variants', language)}   ┆ {word('eval.chance', language)}"
    return chart.properties(title=alt.TitleParams(word("eval.title", language), subtitle=said))


def _panel(rows: list[EvalRow], names: Any, language: str, *, last: bool) -> Any:
    import altair as alt

    points = [
        {
            "model": names[row.model],
            "value": row.value,
            "low": row.value if row.value_low is None else row.value_low,
            "high": row.value if row.value_high is None else row.value_high,
            "n": row.n,
        }
        for row in rows
    ]
    others = [
        {"model": names[row.model], "value": value, "variant": name}
        for row in rows
        for name, value in list(zip(row.variant_names, row.variants, strict=True))[1:]
    ]
    chance = [{"chance": row.chance} for row in rows[:1] if row.chance is not None]
    axis = alt.Axis(format="%", tickCount=6, title=word("eval.score", language) if last else None, labels=last)
    x = alt.X("value:Q", scale=alt.Scale(domain=[0, 1]), axis=axis)
    y = alt.Y(
        "model:N", sort=[names[row.model] for row in rows], title=None, axis=alt.Axis(ticks=False, labelPadding=10)
    )
    base = alt.Chart(alt.InlineData(values=points)).encode(y=y)
    layers = [
        base.mark_rule(color=MIXTURE, strokeWidth=2).encode(x=alt.X("low:Q", axis=axis), x2="high:Q"),
        alt.Chart(alt.InlineData(values=chance)).mark_rule(color=LAW, strokeDash=[4, 3]).encode(x="chance:Q"),
        alt.Chart(alt.InlineData(values=others))
        .mark_point(color=INK, fill="white", size=40, strokeWidth=1.2, opacity=1)
        .encode(x=x, y=y, tooltip=["model:N", "variant:N", "value:Q"]),
        base.mark_circle(color=MIXTURE, size=80, opacity=1).encode(
            x=x, tooltip=["model:N", "value:Q", "low:Q", "high:Q", "n:Q"]
        ),
    ]
    heading = alt.TitleParams(f"{rows[0].task} · {rows[0].metric}", fontSize=12, fontWeight=600, offset=6, color=INK)
    return alt.layer(*layers).properties(width=440, height=26 * len(rows) + 8, title=heading)
