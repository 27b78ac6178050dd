"""What changed: how concentrated the change is, and where in the model it lies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kaibo.chapters.diff.rows import DIFF_SPECTRUM
from kaibo.chapters.spectrum.draw import over_depth
from kaibo.figures.names import labels_of, short
from kaibo.figures.style import BAR, INK, MIXTURE, panel_width, panels, title
from kaibo.words import word

if TYPE_CHECKING:
    from kaibo.chapters.diff.pair_rows import DistanceCell
    from kaibo.chapters.diff.rows import ChangeSpectrum, CurveRow, DifferenceCell
    from kaibo.vocabulary import Finding


def curve(finding: Finding[CurveRow], language: str) -> Any:
    """The share of L1 and of L2 that the largest k % of the change hold, a panel for each tuned model."""
    import altair as alt

    labels = labels_of((row.tuned for row in finding.rows), 44)
    texts = {name: word(f"diff.{name}", language) for name in ("l1", "l2")}
    scopes = {name: word(f"diff.scope_{name}", language) for name in ("global", "tensor")}
    records = [
        {
            "model": labels[row.tuned],
            "percent": row.percent,
            "norm": text,
            "scope": scopes[row.scope],
            "share": 100 * getattr(row, f"{name}_share"),
            "bound": 100 * getattr(row, f"{name}_share_bound"),
            "kept": row.kept,
        }
        for row in finding.rows
        for name, text in texts.items()
    ]
    base = alt.Chart(alt.InlineData(values=records)).encode(
        **_curve_axes(language), **_curve_marks(list(texts.values()), language)
    )
    dash = alt.StrokeDash(
        "scope:N",
        scale=alt.Scale(domain=list(scopes.values()), range=[[1, 0], [5, 4]]),
        legend=alt.Legend(title=word("columns.scope", language), orient="bottom", symbolSize=400),
    )
    points = base.mark_point(filled=True, size=22, opacity=1).encode(detail="scope:N")
    chart = base.mark_line(strokeWidth=1.8).encode(strokeDash=dash) + points
    chart = chart.properties(width=panel_width(len(labels)), height=280)
    names = list(labels.values())
    return panels(chart, names).properties(title=title(word("diff.curve_title", language), names))


def _curve_axes(language: str) -> dict[str, Any]:
    import altair as alt

    marks = [0.1, 0.5, 1, 5, 10, 20, 50, 100]
    return {
        "x": alt.X(
            "percent:Q",
            title=word("diff.percent", language),
            scale=alt.Scale(type="log", domain=[0.1, 100], nice=False),
            axis=alt.Axis(values=marks, format="~g", labelOverlap=False),
        ),
        "y": alt.Y("share:Q", title=word("diff.share", language), scale=alt.Scale(domain=[0, 100])),
    }


def _curve_marks(texts: list[str], language: str) -> dict[str, Any]:
    """The norm is the colour; what a point says when it is pointed at."""
    import altair as alt

    return {
        "color": alt.Color(
            "norm:N",
            scale=alt.Scale(domain=texts, range=[BAR, MIXTURE]),
            legend=alt.Legend(title=word("diff.norm", language), orient="bottom", symbolType="circle"),
        ),
        "tooltip": [
            "norm:N",
            "scope:N",
            alt.Tooltip("percent:Q", title="%"),
            alt.Tooltip("share:Q", title=word("diff.share", language), format=".4g"),
            alt.Tooltip("bound:Q", title="±", format=".2g"),
            alt.Tooltip("kept:Q", title=word("columns.kept", language), format=","),
        ],
    }


def change_map(finding: Finding[DifferenceCell], language: str) -> Any:
    """‖Δ‖/‖base‖ as colour: a column per layer, a row per role, a panel for each tuned model."""
    import altair as alt

    labels = labels_of((row.tuned for row in finding.rows), 44)
    records = [
        {
            "model": labels[row.tuned],
            "layer": row.layer,
            "role": short(row.role),
            "n": row.n,
            "relative": 100 * row.relative,
        }
        for row in finding.rows
        if 0 < row.relative < 1e300
    ]
    roles = list(dict.fromkeys(short(row.role) for row in finding.rows))
    layers = sorted({row.layer for row in finding.rows})
    step = next(step for step in (1, 2, 5, 10, 20, 50, 100, 1000, 10**9) if len(layers) / step <= 24)
    legend = alt.Legend(
        title=word("diff.relative", language), orient="bottom", gradientLength=260, format=".3~g", labelOverlap="greedy"
    )
    chart = (
        alt.Chart(alt.InlineData(values=records))
        .mark_rect()
        .encode(
            x=alt.X(
                "layer:O",
                title=word("diff.layer", language),
                scale=alt.Scale(domain=layers),
                axis=alt.Axis(values=[layer for layer in layers if layer % step == 0], labelAngle=0, ticks=False),
            ),
            y=alt.Y("role:N", sort=roles, scale=alt.Scale(domain=roles), title=None, axis=alt.Axis(ticks=False)),
            color=alt.Color("relative:Q", scale=alt.Scale(type="log", scheme="inferno"), legend=legend),
            tooltip=[
                alt.Tooltip("role:N", title=word("diff.role", language)),
                alt.Tooltip("layer:O", title=word("columns.layer", language)),
                alt.Tooltip("relative:Q", title=word("diff.relative", language), format=".4g"),
                alt.Tooltip("n:Q", title=word("diff.values", language), format=","),
            ],
        )
        .properties(width=min(panel_width(len(labels), 640), max(120, 22 * len(layers))), height={"step": 20})
    )
    names = list(labels.values())
    return panels(chart, names).properties(title=title(word("diff.map_title", language), names))


def distance_map(finding: Finding[DistanceCell], language: str) -> Any:
    """L2 between every two tuned models as colour, models in the order of their clustering; a cell has its number."""
    import altair as alt

    places = {row.a: row.a_place for row in finding.rows} | {row.b: row.b_place for row in finding.rows}
    labels = labels_of(places, 30)
    cells: list[dict[str, object]] = [
        {"a": labels[one], "b": labels[other], "l2": row.l2, "text": f"{row.l2:.3g}", "cosine": row.cosine}
        for row in finding.rows
        for one, other in ((row.a, row.b), (row.b, row.a))
        if row.l2 == row.l2
    ]
    cells += [{"a": label, "b": label, "l2": 0.0, "text": "0", "cosine": 1.0} for label in labels.values()]
    ordered = [labels[model] for model in sorted(places, key=places.__getitem__)]
    base = alt.Chart(alt.InlineData(values=cells)).encode(
        x=alt.X("a:N", sort=ordered, title=None, axis=alt.Axis(labelAngle=-40, labelLimit=240, ticks=False)),
        y=alt.Y("b:N", sort=ordered, title=None, axis=alt.Axis(labelLimit=240, ticks=False)),
    )
    legend = alt.Legend(title=word("diff.distance", language), orient="bottom", gradientLength=260, format=".3~g")
    chart = base.mark_rect().encode(
        color=alt.Color("l2:Q", scale=alt.Scale(scheme="blues", reverse=True), legend=legend),
        tooltip=[
            "a:N",
            "b:N",
            alt.Tooltip("l2:Q", title=word("diff.distance", language), format=".5g"),
            alt.Tooltip("cosine:Q", title=word("columns.cosine", language), format=".4f"),
        ],
    )
    if len(ordered) <= 12:
        middle = max((row.l2 for row in finding.rows if row.l2 == row.l2), default=0.0) / 2
        colour = alt.condition(f"datum.l2 < {middle!r}", alt.value("white"), alt.value(INK))
        chart = chart + base.mark_text(fontSize=10).encode(text="text:N", color=colour)
    side = max(120, min(560, 48 * len(ordered)))
    return chart.properties(width=side, height=side, title=title(word("diff.distances_title", language), []))


def erank_of_change(finding: Finding[ChangeSpectrum], language: str) -> Any:
    """The effective rank of what changed by layer, a line for each role, a panel for each tuned model."""
    return over_depth(finding, "erank", [row.tuned for row in finding.rows], language)


def rank_of_change(finding: Finding[ChangeSpectrum], language: str) -> Any:
    """How many directions of the change stand above rounding."""
    return over_depth(finding, "rank", [row.tuned for row in finding.rows], language)


def has(finding: Finding[Any], name: str) -> bool:
    """Whether any matrix inside a layer has this quantity; every other drawing has something to show."""
    return finding.kind is not DIFF_SPECTRUM or any(
        row.layer is not None and getattr(row, name) for row in finding.rows
    )
