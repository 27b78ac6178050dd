"""Scores along training: every checkpoint against perplexity, FLOPs, tokens or steps with one smooth curve, and R²."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kaibo.figures.style import INK, LAW, title
from kaibo.words import count_in_words, word

if TYPE_CHECKING:
    from kaibo.chapters.trajectories.rows import TrajectoryRow
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
    points = [
        {"x": getattr(p, variable), "y": p.value, "size": shown[p.parameters], "model": p.model, "step": p.step,
         "low": p.low, "high": p.high, "line": p.smoothed}
        for p in row.points
        if getattr(p, variable) > 0
    ]  # fmt: skip
    formats = {"tokens": "~s", "step": "~s", "flops": "~e"}
    axis = alt.Axis(format=formats.get(variable, "~e"), tickCount=5, labelOverlap=True)
    x = alt.X(
        "x:Q", scale=alt.Scale(type="log", nice=False), title=word(f"trajectories.{variable}", language), axis=axis
    )
    y = _y(row, "y")
    colour = _shades(list(shown.values()), word("trajectories.size", language))
    curve = [{"x": a, "y": b} for a, b in one.curve]
    base = alt.Chart(alt.InlineData(values=points)).encode(x=x, color=colour)
    line = alt.Chart(alt.InlineData(values=curve)).mark_line(color=LAW, strokeWidth=1.6)
    smooth = any(p.smoothed is not None and p.smoothed != p.value for p in row.points)
    layers = [
        base.mark_rule(opacity=0.22).encode(y=_y(row, "low"), y2="high:Q"),
        *([base.mark_line(strokeWidth=1.2).encode(y=_y(row, "line"), order="step:Q")] if smooth else []),
        base.mark_circle(size=22, opacity=0.85).encode(y=y, tooltip=["model:N", "step:Q", "x:Q", "y:Q"]),
        line.encode(x=x, y=y, order="x:Q"),
    ]
    heading = alt.TitleParams(f"{row.benchmark} (R² {one.r2:.3f})", fontSize=12, fontWeight=600, offset=6)
    return alt.layer(*layers).properties(width=220, height=160, title=heading)


def _y(row: TrajectoryRow, field: str) -> Any:
    """A score, from what it is to what it can be; a perplexity on a logarithmic axis."""
    import altair as alt

    if is_surprise(row.benchmark):
        return alt.Y(f"{field}:Q", title=None, scale=alt.Scale(type="log"), axis=alt.Axis(format="~g", tickCount=5))
    return alt.Y(f"{field}:Q", title=None, scale=alt.Scale(zero=False))


def is_surprise(benchmark: str) -> bool:
    """Whether a score is a perplexity."""
    return benchmark.rsplit(".", 1)[-1].split("_", 1)[0] in ("ppl", "perplexity")


def _shades(values: list[str], heading: str) -> Any:
    """Light to dark in the order of the values."""
    import altair as alt

    scale = alt.Scale(domain=values, range=_ramp(len(values)))
    return alt.Color("size:N", sort=values, title=heading, scale=scale)


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


def sizes(finding: Finding[TrajectoryRow], language: str) -> Any:
    """Scores against size: a line for each of a few steps that the runs share, later ones darker."""
    import altair as alt

    panels = []
    for row in finding.rows[:MOST_PANELS]:
        steps = shared_steps(row)
        values = [
            {"x": p.parameters, "y": p.value, "low": p.low, "high": p.high, "size": f"{p.step:,.0f}", "model": p.model}
            for p in row.points if p.step in steps
        ]  # fmt: skip
        axis = alt.Axis(format="~s", tickCount=4, labelOverlap=True)
        scale = alt.Scale(type="log", nice=False, padding=12)
        base = alt.Chart(alt.InlineData(values=values)).encode(
            x=alt.X("x:Q", scale=scale, axis=axis, title=word("trajectories.size_axis", language)),
            color=_shades([f"{step:,.0f}" for step in steps], word("axis.step", language)),
        )
        layers = [
            base.mark_rule(opacity=0.5).encode(y=_y(row, "low"), y2="high:Q"),
            base.mark_line(strokeWidth=1.6, point=alt.OverlayMarkDef(size=30)).encode(
                y=_y(row, "y"), tooltip=["model:N", "size:N", "y:Q", "low:Q", "high:Q"]
            ),
        ]
        heading = alt.TitleParams(row.benchmark, fontSize=12, fontWeight=600, offset=6)
        panels.append(alt.layer(*layers).properties(width=220, height=160, title=heading))
    chart = alt.concat(*panels, columns=3).resolve_scale(x="independent", y="independent", color="shared")
    return chart.properties(title=title(word("trajectories.size_title", language), []))


def shared_steps(row: TrajectoryRow) -> list[float]:
    """At most four steps that all runs have, evenly over them, with the last; none for a single run."""
    several = [{p.step for p in row.points if p.model == model} for model in {p.model for p in row.points}]
    common = sorted(set.intersection(*several)) if len(several) > 1 else []
    last = len(common) - 1
    return [common[place] for place in sorted({round(last * part / 4) for part in (1, 2, 3, 4)})] if common else []


def option_pairs(finding: Finding[TrajectoryRow]) -> list[tuple[TrajectoryRow, TrajectoryRow]]:
    """The perplexities of right and of wrong options of each task that has both."""
    named = {row.benchmark: row for row in finding.rows}
    right = [name for name in named if name.endswith(".ppl_right")]
    return [(named[name], named[wrong]) for name in right if (wrong := name.replace("_right", "_wrong")) in named]


def options(finding: Finding[TrajectoryRow], language: str) -> Any:
    """Two panels a task: perplexity of right options (solid) and wrong ones (dashed) by step and by FLOPs."""
    import altair as alt

    panels = [
        _options(pair, variable, language)
        for pair in option_pairs(finding)
        for variable in ("step", "flops")
        if variable == "step" or all(p.flops > 0 for p in pair[0].points)
    ]
    return alt.concat(*panels, columns=2).properties(title=title(word("trajectories.options_title", language), []))


def _options(pair: tuple[TrajectoryRow, TrajectoryRow], variable: str, language: str) -> Any:
    import altair as alt

    shown = {size: count_in_words(round(size), language) for size in sorted({p.parameters for p in pair[0].points})}
    kinds = [word("trajectories.right", language), word("trajectories.wrong", language)]
    values = [
        {"x": getattr(p, variable), "y": p.value, "low": p.low, "high": p.high, "size": shown[p.parameters],
         "model": p.model, "kind": kind, "step": p.step}
        for kind, row in zip(kinds, pair, strict=True) for p in row.points
    ]  # fmt: skip
    axis = alt.Axis(format="~e" if variable == "flops" else "~s", tickCount=5, labelOverlap=True)
    scale = alt.Scale(type="log", nice=False)
    dashes = alt.Scale(domain=kinds, range=[[1, 0], [5, 3]])
    base = alt.Chart(alt.InlineData(values=values)).encode(
        x=alt.X("x:Q", scale=scale, axis=axis, title=word(f"trajectories.{variable}", language)),
        color=_shades(list(shown.values()), word("trajectories.size", language)),
    )
    layers = [
        base.mark_rule(opacity=0.25).encode(y=_option_y("low", language), y2="high:Q"),
        base.mark_line(strokeWidth=1.8).encode(
            y=_option_y("y", language), order="step:Q", tooltip=["model:N", "kind:N", "step:Q", "y:Q"],
            strokeDash=alt.StrokeDash("kind:N", sort=kinds, title=word("trajectories.option", language), scale=dashes),
        ),
    ]  # fmt: skip
    heading = alt.TitleParams(pair[0].benchmark.rsplit(".", 1)[0], fontSize=12, fontWeight=600, offset=6)
    return alt.layer(*layers).properties(width=290, height=220, title=heading)


def _option_y(field: str, language: str) -> Any:
    import altair as alt

    scale, axis = alt.Scale(type="log", nice=False), alt.Axis(format="~g", tickCount=5)
    return alt.Y(f"{field}:Q", title=word("trajectories.option_ppl", language), scale=scale, axis=axis)


def has(finding: Finding[TrajectoryRow], name: str) -> bool:
    """Whether a drawing has something to show: a variable that is known, tokens where they say more than steps."""
    if name == "r2":
        return True
    if name == "options":
        return bool(option_pairs(finding))
    if name == "size":
        return any(shared_steps(row) for row in finding.rows)
    if name == "step" and has(finding, "tokens"):
        batches = {round(p.tokens / p.step, 6) for row in finding.rows for p in row.points if p.step > 0}
        return len(batches) > 1  # else both pictures are one
    return any(one.against == name for row in finding.rows for one in row.explained)


def what_explains(finding: Finding[TrajectoryRow], language: str) -> Any:
    """A map of R² when sizes are left out: one row a score, one column a variable."""
    import altair as alt

    against = list(dict.fromkeys(one.against for row in finding for one in row.explained))
    shown = {name: word(f"axis.{name}", language) for name in against}
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
