"""Scores along training: every checkpoint against perplexity, FLOPs, tokens or steps with one smooth curve, and R²."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kaibo.figures.style import INK, LAW, title
from kaibo.figures.words import count_in_words, word

if TYPE_CHECKING:
    from kaibo.analyses.trajectories import TrajectoryRow
    from kaibo.vocabulary import Finding

MOST_PANELS = 12


def _against(finding: Finding[TrajectoryRow], language: str, variable: str) -> Any:
    import altair as alt

    rows = [row for row in finding if any(one.against == variable for one in row.explained)][:MOST_PANELS]
    sizes = sorted({point.parameters for row in rows for point in row.points})
    shown = {size: count_in_words(round(size), language) for size in sizes}
    panels = [_panel(row, variable, shown, language) for row in rows]
    chart = alt.concat(*panels, columns=3).resolve_scale(x="independent", y="independent", color="shared")
    return chart.properties(title=title(word(f"trajectories.{variable}_title", language), []))


def _panel(row: TrajectoryRow, variable: str, shown: dict[float, str], language: str) -> Any:
    """One score: its checkpoints and the smooth curve; a perplexity on a logarithmic axis."""
    import altair as alt

    one = next(one for one in row.explained if one.against == variable)
    is_perplexity = row.benchmark.rsplit(".", 1)[-1] in ("ppl", "perplexity")
    points = [
        {"x": getattr(p, variable), "y": p.value, "size": shown[p.parameters], "model": p.model, "step": p.step}
        for p in row.points
        if getattr(p, variable) > 0
    ]
    formats = {"tokens": "~s", "step": "~s", "flops": "~e"}
    axis = alt.Axis(format=formats.get(variable, "~e"), tickCount=5, labelOverlap=True)
    x = alt.X(
        "x:Q", scale=alt.Scale(type="log", nice=False), title=word(f"trajectories.{variable}", language), axis=axis
    )
    y = alt.Y("y:Q", title=None, scale=alt.Scale(zero=False))
    if is_perplexity:
        y = alt.Y("y:Q", title=None, scale=alt.Scale(type="log"), axis=alt.Axis(format="~e", tickCount=6))
    colour = alt.Color(
        "size:N", sort=list(shown.values()), title=word("trajectories.size", language),
        scale=alt.Scale(domain=list(shown.values()), range=_ramp(len(shown))),
    )  # fmt: skip
    curve = [{"x": a, "y": b} for a, b in one.curve]
    dots = alt.Chart(alt.InlineData(values=points)).mark_circle(size=22, opacity=0.85)
    line = alt.Chart(alt.InlineData(values=curve)).mark_line(color=LAW, strokeWidth=1.6)
    layers = [
        dots.encode(x=x, y=y, color=colour, tooltip=["model:N", "step:Q", "x:Q", "y:Q"]),
        line.encode(x=x, y=y, order="x:Q"),
    ]
    heading = alt.TitleParams(f"{row.benchmark} (R² {one.r2:.3f})", fontSize=12, fontWeight=600, offset=6)
    return alt.layer(*layers).properties(width=220, height=160, title=heading)


def _ramp(count: int) -> list[str]:
    """Light to dark with size."""
    ramp = ["#b7d4ea", "#8fbcdc", "#64a0cb", "#4285b8", "#2a6aa3", "#1c5088", "#13386a", "#0b2149"]
    return [ramp[round(place * (len(ramp) - 1) / max(count - 1, 1))] for place in range(count)]


def perplexity(finding: Finding[TrajectoryRow], language: str) -> Any:
    """Scores against perplexity."""
    return _against(finding, language, "perplexity")


def flops(finding: Finding[TrajectoryRow], language: str) -> Any:
    """Scores against training FLOPs."""
    return _against(finding, language, "flops")


def tokens(finding: Finding[TrajectoryRow], language: str) -> Any:
    """Scores against training tokens."""
    return _against(finding, language, "tokens")


def steps(finding: Finding[TrajectoryRow], language: str) -> Any:
    """Scores against training steps."""
    return _against(finding, language, "step")


def what_explains(finding: Finding[TrajectoryRow], language: str) -> Any:
    """A map of R² when sizes are left out: one row a score, one column a variable."""
    import altair as alt

    against = list(dict.fromkeys(one.against for row in finding for one in row.explained))
    shown = {name: word(f"trajectories.{name}_short", language) for name in against}
    cells = [
        {
            "score": row.benchmark,
            "variable": shown[one.against],
            "r2": one.r2_left_out,
            "text": f"{one.r2_left_out:.2f}".replace("-", "−"),
        }
        for row in finding
        for one in row.explained
    ]
    base = alt.Chart(alt.InlineData(values=cells)).encode(
        x=alt.X(
            "variable:N", sort=list(shown.values()), title=None, axis=alt.Axis(labelAngle=0, orient="top", ticks=False)
        ),
        y=alt.Y(
            "score:N", sort=[row.benchmark for row in finding], title=None, axis=alt.Axis(ticks=False, labelLimit=300)
        ),
    )
    scale = alt.Scale(scheme="blues", domain=[0, 1], clamp=True)
    strong = alt.condition("datum.r2 > 0.6", alt.value("white"), alt.value(INK))
    chart = base.mark_rect().encode(color=alt.Color("r2:Q", scale=scale, title="R²")) + base.mark_text().encode(
        text="text:N", color=strong
    )
    return chart.properties(
        width=92 * len(against), height=26 * len(finding.rows), title=title(word("trajectories.r2_title", language), [])
    )
