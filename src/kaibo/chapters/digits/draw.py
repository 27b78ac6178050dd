"""First digits: horizontal bars, digit 1 on top, Benford's law as a red line, `**` on each bar above the law."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from kaibo.chapters.digits.rows import DIGITS
from kaibo.figures.names import distinct, model_names, short
from kaibo.figures.style import BAR, GAUSSIAN, INK, LAW, MIXTURE, panel_width, panels, title
from kaibo.words import known, word

if TYPE_CHECKING:
    from kaibo.chapters.digits.rows import DigitGroupRow, DigitsRow
    from kaibo.vocabulary import Finding

BENFORD = tuple(math.log10(1 + 1 / digit) for digit in range(1, 10))
MOST_PANELS = 12
"""More rows than this are drawn as a map, one line each."""


def labels(finding: Finding[DigitsRow], language: str) -> list[str]:
    """What each row is called in the figure: its model, its part, or both; different for every row."""
    names = model_names(row.model for row in finding.rows)
    texts = []
    for row in finding.rows:
        part = (
            word("terms.outside" if row.by == "layer" else "terms.all", language)
            if row.key is None
            else f"{row.by} {row.key}"
            if row.by == "layer"
            else row.key
        )
        several = len(names) > 1
        texts.append(
            names[row.model] if row.by == "model" else f"{names[row.model]} · {part}" if several else str(part)
        )
    return distinct(texts, 44)


def bars(finding: Finding[DigitsRow], language: str) -> Any:
    """The picture people know, one panel a row; more than `MOST_PANELS` rows become a map of the deviations."""
    if len(finding.rows) > MOST_PANELS:
        return deviations(finding, language)
    return panels(_one_panel(finding, language), labels(finding, language)).properties(
        title=title(word("digits.title", language), labels(finding, language))
    )


def _records(finding: Finding[DigitsRow], language: str) -> list[dict[str, Any]]:
    return [
        {
            "model": label,
            "series": word("digits.measured", language),
            "digit": digit + 1,
            "share": _percent(row.shares[digit]),
            "law": _percent(BENFORD[digit]),
            "gaussian": _percent(row.gaussian_shares[digit]) if row.gaussian_shares else None,
            "mixture": _percent(row.mixture_shares[digit]) if row.mixture_shares else None,
            "count": row.counts[digit],
            "deviation": _percent(row.shares[digit] - BENFORD[digit]),
        }
        for row, label in zip(finding.rows, labels(finding, language), strict=True)
        for digit in range(9)
    ]


def _percent(share: float) -> float | None:
    return 100 * share if math.isfinite(share) else None


def _one_panel(finding: Finding[DigitsRow], language: str) -> Any:
    """Bars, the two nulls as ticks, the law as a line over them, and the stars of the digits above the law."""
    import altair as alt

    texts = [word(f"digits.{name}", language) for name in ("measured", "law", "gaussian", "mixture")]
    measured, law, gaussian, mixture = texts
    scale = alt.Scale(domain=texts, range=[BAR, LAW, GAUSSIAN, MIXTURE])
    legend = alt.Legend(title=None, orient="bottom", columns=2, symbolType="square", symbolStrokeWidth=0)
    colour = alt.Color("series:N", scale=scale, legend=legend)  # the other layers' datums share its scale
    digit = alt.Y("digit:O", title=word("digits.digit", language), axis=alt.Axis(grid=False, ticks=False))
    axis = alt.Axis(format=".3~g", tickCount=6)
    share = alt.X("share:Q", title=word("digits.share", language), axis=axis, scale=alt.Scale(domainMin=0, nice=True))
    tooltip = [
        alt.Tooltip("digit:O", title=word("digits.digit", language)),
        alt.Tooltip("share:Q", title=measured, format=".4f"),
        alt.Tooltip("law:Q", title=law, format=".4f"),
        alt.Tooltip("gaussian:Q", title=gaussian, format=".4f"),
        alt.Tooltip("mixture:Q", title=mixture, format=".4f"),
        alt.Tooltip("count:Q", title=word("columns.n", language), format=","),
    ]
    base = alt.Chart(alt.InlineData(values=_records(finding, language))).encode(y=digit)
    point = alt.OverlayMarkDef(filled=True, size=42, color=LAW)
    layers = [
        base.mark_bar(height={"band": 0.68}).encode(x=share, color=colour, tooltip=tooltip),
        base.mark_tick(thickness=2, size=21).encode(x="gaussian:Q", color=alt.datum(gaussian)),
        base.mark_tick(thickness=2, size=13).encode(x="mixture:Q", color=alt.datum(mixture)),
        base.mark_line(point=point, strokeWidth=1.8, orient="vertical").encode(
            x="law:Q", color=alt.datum(law), order="digit:Q", tooltip=tooltip
        ),
    ]
    return alt.layer(*layers, *_stars(base)).properties(width=panel_width(len(finding.rows), 460), height=9 * 26)


def _stars(base: Any) -> list[Any]:
    """`**` right of the tip of every bar above the law, over a white rim that keeps it apart from the red line."""
    above = base.transform_filter("datum.share > datum.law").transform_calculate(
        tip="max(datum.share, datum.gaussian || 0, datum.mixture || 0)", stars="'**'"
    )
    text: dict[str, Any] = {
        "align": "left",
        "baseline": "middle",
        "dx": 7,
        "dy": 2,
        "fontSize": 14,
        "fontWeight": "bold",
    }
    rim = above.mark_text(**text, stroke="white", strokeWidth=5, strokeJoin="round", aria=False)
    return [mark.encode(x="tip:Q", text="stars:N") for mark in (rim, above.mark_text(**text, color=INK))]


def deviations(finding: Finding[DigitsRow], language: str) -> Any:
    """Many rows at once: a line each, a column a digit, coloured by share − law in percentage points."""
    import altair as alt

    records = _records(finding, language)
    most = max((abs(record["deviation"]) for record in records if record["deviation"] is not None), default=1.0) or 1.0
    names = labels(finding, language)
    height = min(1600, max(4, min(18, 1400 // len(names))) * len(names))
    chosen = names[:: max(1, math.ceil(len(names) * 12 / height))]
    return (
        alt.Chart(alt.InlineData(values=records))
        .mark_rect()
        .encode(
            x=alt.X("digit:O", title=word("digits.digit", language), axis=alt.Axis(labelAngle=0, orient="top")),
            y=alt.Y("model:N", sort=names, title=None, axis=alt.Axis(values=chosen, labelLimit=320, ticks=False)),
            color=alt.Color(
                "deviation:Q",
                title=word("digits.deviation", language),
                scale=alt.Scale(scheme="redblue", reverse=True, domain=[-most, most]),
                legend=alt.Legend(orient="bottom", gradientLength=260),
            ),
            tooltip=[
                "model:N",
                "digit:O",
                alt.Tooltip("deviation:Q", format="+.3f"),
                alt.Tooltip("count:Q", format=","),
            ],
        )
        .properties(width=320, height=height, title=title(word("digits.title", language), []))
    )


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
    return word(key, language) if known(key) else short(group, 60)


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


def has(finding: Finding[Any], name: str) -> bool:
    """Few rows are bars, many a map; both say the same."""
    return finding.kind is not DIGITS or (name == "map") == (len(finding.rows) > MOST_PANELS)
