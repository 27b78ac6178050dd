"""The trajectories of a run's weights over its steps; checkpoints that the audit named are ringed."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from kaibo.figures.names import short
from kaibo.figures.style import BAR, LAW, MIXTURE
from kaibo.words import word

if TYPE_CHECKING:
    from kaibo.chapters.series.rows import SeriesCheckpoint
    from kaibo.vocabulary import Finding

LINES: Mapping[str, tuple[str, ...]] = {
    "norm": ("norm",),
    "distance": ("from_start", "to_end"),
    "step_length": ("step_length",),
    "rate": ("rate",),
    "cosine": ("cosine",),
    "mae": ("mae",),
}
"""The quantities that each figure draws, a line each."""

BY_ROLE = ("sigma", "stable_rank", "entropy_rank")
WIDE = 30.0
"""Steps are drawn on a logarithmic axis where their largest spacing is so many times the smallest."""


def has(finding: Finding[SeriesCheckpoint], name: str) -> bool:
    """Whether a figure has something to draw: at least two points of a checkpoint with a step."""
    return len({record["step"] for record in _records(finding, name, "en")}) > 1


def _records(finding: Finding[SeriesCheckpoint], name: str, language: str) -> list[dict[str, Any]]:
    records = []
    for row in finding.rows:
        if row.step is None:
            continue
        if name in BY_ROLE:
            values = {short(role): value for role, value in getattr(row, name).items()}
        else:
            values = {word(f"series.{line}", language): getattr(row, line) for line in LINES[name]}
        flagged = ", ".join(word(f"audit.{kind}", language) for kind in row.flags)
        records += [
            {"step": row.step, "value": value, "line": line, "name": row.name, "flags": flagged}
            for line, value in values.items()
            if value is not None and abs(value) < 1e300
        ]
    return records


def _axis(finding: Finding[SeriesCheckpoint], language: str) -> Any:
    import altair as alt

    steps = sorted({row.step for row in finding.rows if row.step is not None})
    spacings = [after - before for before, after in pairwise(steps)]
    wide = bool(spacings) and max(spacings) > WIDE * min(spacings)
    scale = alt.Scale(type="symlog", constant=1, nice=False) if wide else alt.Scale(zero=False, nice=False)
    marks = [0, *(10**power for power in range(10))] if wide else None
    shown = [mark for mark in marks if steps[0] <= mark <= steps[-1]] if marks else alt.Undefined
    axis = alt.Axis(format="~s", values=shown, labelOverlap=True, tickCount=8)
    return alt.X("step:Q", title=word("series.step", language), scale=scale, axis=axis)


def _drawn(finding: Finding[SeriesCheckpoint], name: str, language: str, log: bool = False) -> Any:
    import altair as alt

    records = _records(finding, name, language)
    lines = list(dict.fromkeys(record["line"] for record in records))
    text = word(f"series.{name}_axis", language)
    positive = log and all(record["value"] > 0 for record in records)
    scale = alt.Scale(type="log", nice=False) if positive else alt.Scale(zero=False)
    axis = alt.Axis(format=".4~g", tickCount=6)
    y = alt.Y("value:Q", title=text, scale=scale, axis=axis)
    if name in BY_ROLE:
        legend = alt.Legend(title=word("series.role", language), symbolType="circle")
        colour = alt.Color("line:N", sort=lines, scale=alt.Scale(scheme="tableau10"), legend=legend)
    else:
        bottom = alt.Legend(title=None, orient="bottom", symbolType="circle") if len(lines) > 1 else None
        colour = alt.Color("line:N", scale=alt.Scale(domain=lines, range=[MIXTURE, BAR][: len(lines)]), legend=bottom)
    base = alt.Chart(alt.InlineData(values=records)).encode(x=_axis(finding, language), y=y)
    tooltip = [
        alt.Tooltip("name:N", title=word("series.checkpoint", language)),
        alt.Tooltip("line:N", title=word("series.quantity", language)),
        alt.Tooltip("value:Q", title=text, format=".5g"),
        alt.Tooltip("flags:N", title=word("series.flags", language)),
    ]
    plain = base.mark_line(point=alt.OverlayMarkDef(size=26), strokeWidth=1.6).encode(color=colour, tooltip=tooltip)
    ringed = [record for record in records if record["flags"]]
    rings = alt.Chart(alt.InlineData(values=ringed)).mark_point(size=110, color=LAW, strokeWidth=1.6, filled=False)
    layers = [plain, rings.encode(x=_axis(finding, language), y=y, tooltip=tooltip)] if ringed else [plain]
    return alt.layer(*layers).properties(
        width=560, height=260, title=alt.TitleParams(word(f"series.{name}_title", language))
    )


def norm(finding: Finding[SeriesCheckpoint], language: str) -> Any:
    """‖θ‖ over the steps."""
    return _drawn(finding, "norm", language)


def distance(finding: Finding[SeriesCheckpoint], language: str) -> Any:
    """The distances from the first and to the last checkpoint over the steps."""
    return _drawn(finding, "distance", language)


def step_length(finding: Finding[SeriesCheckpoint], language: str) -> Any:
    """‖Δ‖ between neighbours, at the later of the two."""
    return _drawn(finding, "step_length", language, log=True)


def rate(finding: Finding[SeriesCheckpoint], language: str) -> Any:
    """The step length per step, normalised: the curve that follows the learning rate."""
    return _drawn(finding, "rate", language)


def cosine(finding: Finding[SeriesCheckpoint], language: str) -> Any:
    """The cosine between the update that leads to a checkpoint and the next one."""
    return _drawn(finding, "cosine", language)


def mae(finding: Finding[SeriesCheckpoint], language: str) -> Any:
    """The distance of the first digits from Benford's law over the steps."""
    return _drawn(finding, "mae", language)


def sigma(finding: Finding[SeriesCheckpoint], language: str) -> Any:
    """σ of each role over the steps."""
    return _drawn(finding, "sigma", language, log=True)


def stable_rank(finding: Finding[SeriesCheckpoint], language: str) -> Any:
    """The median stable rank of each role over the steps."""
    return _drawn(finding, "stable_rank", language, log=True)


def entropy_rank(finding: Finding[SeriesCheckpoint], language: str) -> Any:
    """The median entropy rank of each role over the steps."""
    return _drawn(finding, "entropy_rank", language, log=True)
