"""Distances from Benford's law: models in groups as dots beside their nulls, checkpoints as lines over the steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kaibo.figures.names import short
from kaibo.figures.style import BAR, GAUSSIAN, LAW, MIXTURE
from kaibo.figures.words import word
from kaibo.figures.words.catalogue import catalogue

if TYPE_CHECKING:
    from kaibo.analyses.digit_groups import DigitGroupRow
    from kaibo.vocabulary import Finding


def dots(finding: Finding[DigitGroupRow], language: str) -> Any:
    """A panel for each group, a line for each model: its distance with interval, the nulls as ticks."""
    import altair as alt

    records = [{**_record(row), "group": heading_of(row.group, language)} for row in finding.rows]
    groups = list(dict.fromkeys(record["group"] for record in records))
    ends = [value for record in records for value in (record["high"], record["gaussian"], record["mixture"])]
    scale = alt.Scale(domain=[0, max(ends, default=1.0) * 1.05], nice=False)
    panels = [
        _panel([one for one in records if one["group"] == group], scale, language, last=group == groups[-1])
        for group in groups
    ]
    said = "   ".join(
        f"{mark} {word(f'digit_groups.{key}', language)}"
        for mark, key in (("●", "measured"), ("│", "gaussian"), ("┆", "mixture"))
    )
    heading = alt.TitleParams(word("digit_groups.title", language), subtitle=said)
    return alt.vconcat(*panels, spacing=10).properties(title=heading)


def heading_of(group: str, language: str) -> str:
    """What models are compared by: a word of ours where it is one, else as it was given."""
    key = f"compared.{group}"
    return word(key, language) if key in catalogue(language) else short(group, 60)


def _record(row: DigitGroupRow) -> dict[str, Any]:
    low = row.mae if row.mae_low is None else row.mae_low
    high = row.mae if row.mae_high is None else row.mae_high
    nulls = {"gaussian": row.gaussian_mae, "mixture": row.mixture_mae}
    shown = {key: value if value == value else row.mae for key, value in nulls.items()}
    label = short(row.label, 40)
    return {"group": row.group, "label": label, "mae": row.mae, "low": low, "high": high, "step": row.step, **shown}


def _panel(records: list[dict[str, Any]], scale: Any, language: str, *, last: bool) -> Any:
    import altair as alt

    axis = alt.Axis(format=".3f", tickCount=8, labels=last, ticks=last)
    x = alt.X("mae:Q", scale=scale, axis=axis, title=word("digit_groups.axis", language) if last else None)
    order = list(dict.fromkeys(record["label"] for record in records))
    labels = alt.Axis(ticks=False, labelPadding=10, minExtent=170)
    base = alt.Chart(alt.InlineData(values=records)).encode(y=alt.Y("label:N", sort=order, title=None, axis=labels))
    tooltip = ["label:N", *(alt.Tooltip(f"{key}:Q", format=".5f") for key in ("mae", "low", "high", "gaussian"))]
    layers = [
        base.mark_rule(color=BAR, strokeWidth=3).encode(x=alt.X("low:Q", scale=scale, axis=axis), x2="high:Q"),
        base.mark_tick(color=LAW, thickness=2, size=15).encode(x="gaussian:Q"),
        base.mark_tick(color=GAUSSIAN, thickness=1.5, size=15, strokeDash=[2, 2]).encode(x="mixture:Q"),
        base.mark_point(filled=True, size=55, color=MIXTURE, opacity=1).encode(x=x, tooltip=tooltip),
    ]
    heading = alt.TitleParams(records[0]["group"], fontSize=12, fontWeight=600, offset=4)
    return alt.layer(*layers).properties(width=480, height=alt.Step(20), title=heading)


def course(finding: Finding[DigitGroupRow], language: str) -> Any:
    """A line for each run over its steps with its band, and the Gaussian of the same σ dashed in its colour."""
    import altair as alt

    records = [_record(row) for row in finding.rows if row.step is not None]
    lines = list(dict.fromkeys(record["label"] for record in records))
    steps = [record["step"] for record in records]
    marks = [10**power for power in range(8) if min(steps, default=1) <= 10**power <= max(steps, default=1)]
    x = alt.X(
        "step:Q",
        title=word("digit_groups.step", language),
        scale=alt.Scale(type="symlog", constant=1, nice=False),
        axis=alt.Axis(values=[*marks, max(steps, default=1)], format="~s"),
    )
    y = alt.Y("mae:Q", title=word("digit_groups.axis", language), scale=alt.Scale(zero=True))
    legend = alt.Legend(title=word("digit_groups.run", language), symbolType="circle")
    colour = alt.Color("label:N", sort=lines, scale=alt.Scale(scheme="tableau10"), legend=legend)
    base = alt.Chart(alt.InlineData(values=records)).encode(x=x, color=colour)
    tooltip = ["label:N", "step:Q", *(alt.Tooltip(f"{key}:Q", format=".5f") for key in ("mae", "low", "high"))]
    layers = [
        base.mark_area(opacity=0.1).encode(y=alt.Y("low:Q"), y2="high:Q"),
        base.mark_line(strokeDash=[5, 4], strokeWidth=1.2).encode(y="gaussian:Q"),
        base.mark_line(strokeWidth=1.8, point=alt.OverlayMarkDef(size=24)).encode(y=y, tooltip=tooltip),
    ]
    heading = alt.TitleParams(
        word("digit_groups.course_title", language), subtitle=word("digit_groups.dashes", language)
    )
    return alt.layer(*layers).properties(width=520, height=280, title=heading)
