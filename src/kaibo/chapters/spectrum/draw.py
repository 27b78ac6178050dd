"""Eigenvalue tails with their power laws, and α and stable rank over depth."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import TYPE_CHECKING, Any

from kaibo.chapters.spectrum.rows import SPECTRUM_TAILS
from kaibo.figures.names import labels_of, short
from kaibo.figures.style import GAUSSIAN, LAW, MIXTURE, panel_width, panels, title
from kaibo.words import word

if TYPE_CHECKING:
    from kaibo.chapters.spectrum.rows import MatrixSpectrum, TailRow
    from kaibo.vocabulary import Finding

MOST_PANELS = 12


def tails(finding: Finding[TailRow], language: str) -> Any:
    """The share of eigenvalues at or above λ, both axes logarithmic, a panel for each matrix, with the fitted line."""
    import altair as alt

    labels = labels_of(row.model for row in finding.rows)
    shown = finding.rows[:MOST_PANELS]
    charts = [_tail(row, labels[row.model] if len(labels) > 1 else "", language) for row in shown]
    heading = title(word("spectrum.tails_title", language), list(labels.values()) if len(labels) == 1 else [])
    return alt.concat(*charts, columns=3).properties(title=heading)


def _tail(row: TailRow, model: str, language: str) -> Any:
    import altair as alt

    names = [word(f"spectrum.{name}", language) for name in ("measured", "fit", "gaussian")]
    points = [{"x": value, "y": share, "what": names[0]} for value, share in row.points]
    top, last = row.points[0][0], row.points[0][1]
    line = [
        {"x": x, "y": row.tail_share * (x / row.start) ** (1 - row.alpha), "what": names[1]} for x in (row.start, top)
    ]
    colour = alt.Color(
        "what:N",
        scale=alt.Scale(domain=names, range=[MIXTURE, LAW, GAUSSIAN]),
        legend=alt.Legend(title=None, orient="bottom", symbolType="circle"),
    )
    low = min(last, *(one["y"] for one in line)) / 1.5
    values = [value for value, _ in row.points]
    floor = max(min(values), row.start * 1e-3)  # what lies far below the tail would squeeze it
    x = alt.X(
        "x:Q",
        title=word("spectrum.eigenvalue", language),
        scale=alt.Scale(type="log", domain=[floor / 1.2, max(top, row.edge) * 1.3], nice=False),
        axis=alt.Axis(format="~e", tickCount=4, labelOverlap=True),
    )
    y = alt.Y(
        "y:Q",
        title=word("spectrum.share_above", language),
        scale=alt.Scale(type="log", domain=[low, 1.2], nice=False),
        axis=alt.Axis(format="~g", tickCount=4),
    )
    rule = alt.Chart(alt.InlineData(values=[{"x": row.edge, "what": names[2]}])).mark_rule(strokeDash=[4, 3])
    layers = [
        alt.Chart(alt.InlineData(values=points)).mark_circle(size=16, clip=True).encode(x=x, y=y, color=colour),
        alt.Chart(alt.InlineData(values=line)).mark_line(strokeWidth=1.8).encode(x=x, y=y, color=colour),
        rule.encode(x=x, color=colour),
    ]
    said = f"α {row.alpha:.2f}, D {row.distance:.2f}"
    heading = alt.TitleParams(
        short(row.tensor, 34), subtitle=f"{model}: {said}" if model else said, fontSize=12, offset=6
    )
    return alt.layer(*layers).properties(width=210, height=170, title=heading)


def alpha_over_depth(finding: Finding[MatrixSpectrum], language: str) -> Any:
    """α by layer, a line for each role."""
    return over_depth(finding, "alpha", [row.model for row in finding.rows], language)


def stable_rank_over_depth(finding: Finding[MatrixSpectrum], language: str) -> Any:
    """Stable rank by layer, a line for each role."""
    return over_depth(finding, "stable_rank", [row.model for row in finding.rows], language)


def has(finding: Finding[Any], name: str) -> bool:
    """Whether any matrix inside a layer has this quantity; on a logarithmic axis zero has no place."""
    return finding.kind is SPECTRUM_TAILS or any(row.layer is not None and getattr(row, name) for row in finding.rows)


def over_depth(finding: Finding[Any], quantity: str, addresses: Sequence[str], language: str) -> Any:
    """A quantity of matrices by layer, a line for each role, a panel for each of the addresses."""
    import altair as alt

    labels = labels_of(addresses)
    cells: dict[tuple[str, int, str], list[float]] = {}
    for row, address in zip(finding.rows, addresses, strict=True):
        value = getattr(row, quantity)
        if row.layer is not None and value:
            cells.setdefault((labels[address], row.layer, short(row.role)), []).append(value)
    records: list[dict[str, Any]] = [
        {"model": model, "layer": layer, "role": role, "value": median(values), "n": len(values)}
        for (model, layer, role), values in cells.items()
    ]
    layers = sorted({layer for _, layer, _ in cells})
    step = next(step for step in (1, 2, 5, 10, 20, 50, 100, 1000, 10**9) if len(layers) / step <= 24)
    axis = alt.Axis(values=[layer for layer in layers if layer % step == 0], format="d", grid=False)
    text = word(f"spectrum.{quantity}", language)
    chart = (
        alt.Chart(alt.InlineData(values=records))
        .mark_line(point=alt.OverlayMarkDef(size=24), strokeWidth=1.6)
        .encode(
            x=alt.X("layer:Q", title=word("spectrum.layer", language), axis=axis, scale=alt.Scale(zero=False)),
            y=alt.Y("value:Q", title=text, scale=alt.Scale(type="log", nice=True), axis=alt.Axis(format="~g")),
            color=alt.Color("role:N", legend=alt.Legend(title=word("spectrum.role", language), symbolType="circle")),
            tooltip=[
                alt.Tooltip("role:N", title=word("spectrum.role", language)),
                alt.Tooltip("layer:Q", title=word("columns.layer", language)),
                alt.Tooltip("value:Q", title=text, format=".4g"),
                alt.Tooltip("n:Q", title=word("columns.matrices", language)),
            ],
        )
        .properties(width=panel_width(len(labels)), height=280)
    )
    names = list(labels.values())
    return panels(chart, names).properties(title=title(word(f"spectrum.{quantity}_title", language), names))
