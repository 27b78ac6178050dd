"""Components of a score table: what they explain, their loadings, models in their plane, PC1 against FLOPs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from kaibo.chapters.pca.components import PCA
from kaibo.errors import escaped
from kaibo.figures.scatter import PALETTE, named_points
from kaibo.figures.style import BAR, INK, LAW, panel_width, panels, title
from kaibo.words import word

if TYPE_CHECKING:
    from kaibo.chapters.pca.components import ComponentsRow
    from kaibo.chapters.pca.rows import TableShare
    from kaibo.vocabulary import Finding


def explained(finding: Finding[ComponentsRow], language: str) -> Any:
    """Bars of the explained shares with their intervals over families, and the line of permuted columns."""
    import altair as alt

    row = finding.rows[0]
    measured, permuted = word("pca.measured", language), word("pca.permuted", language)
    rows = [
        {
            "component": f"PC{k + 1}",
            "place": k,
            "series": measured,
            "share": 100 * share,
            "low": None if math.isnan(row.explained_interval[k][0]) else 100 * row.explained_interval[k][0],
            "high": None if math.isnan(row.explained_interval[k][1]) else 100 * row.explained_interval[k][1],
            "parallel": 100 * row.parallel[k],
            "text": f"{100 * share:.1f}",
        }
        for k, share in enumerate(row.explained)
    ]
    base = alt.Chart(alt.InlineData(values=rows)).encode(
        x=alt.X(
            "component:N", title=word("pca.component", language), axis=alt.Axis(labelAngle=0, grid=False), sort=None
        )
    )
    scale = alt.Scale(domain=[measured, permuted], range=[BAR, LAW])
    legend = alt.Legend(title=None, orient="bottom", symbolType="square", symbolStrokeWidth=0)
    share = alt.Y("share:Q", title=word("pca.share", language), scale=alt.Scale(domainMin=0))
    point = alt.OverlayMarkDef(filled=True, size=42, color=LAW)
    layers = [
        base.mark_bar(width={"band": 0.6}).encode(
            y=share, color=alt.Color("series:N", scale=scale, legend=legend), tooltip=["component:N", "share:Q"]
        ),
        base.mark_rule(strokeWidth=1.5, color=INK).encode(y="low:Q", y2="high:Q"),
        base.mark_line(point=point, strokeWidth=1.8, strokeDash=[5, 3]).encode(
            y="parallel:Q", color=alt.datum(permuted), order="place:Q"
        ),
        base.mark_text(dx=6, dy=-6, align="left", fontSize=11, color=INK).encode(y="share:Q", text="text:N"),
    ]
    return alt.layer(*layers).properties(
        width=90 * len(rows), height=300, title=title(word("pca.explained_title", language), [])
    )


def loadings(finding: Finding[ComponentsRow], language: str) -> Any:
    """A heat map of the loadings, the value in each cell."""
    import altair as alt

    row = finding.rows[0]
    cells: list[dict[str, Any]] = [
        {"benchmark": name, "component": f"PC{k + 1}", "loading": value, "text": f"{value:.2f}".replace("-", "−")}
        for name, values in row.loadings.items()
        for k, value in enumerate(values)
    ]
    most = max((abs(cell["loading"]) for cell in cells), default=1.0)
    base = alt.Chart(alt.InlineData(values=cells)).encode(
        x=alt.X("component:N", title=None, axis=alt.Axis(labelAngle=0, orient="top", ticks=False, domain=False)),
        y=alt.Y(
            "benchmark:N",
            title=None,
            sort=list(row.benchmarks),
            axis=alt.Axis(labelLimit=320, ticks=False, domain=False),
        ),
    )
    colour = alt.Color(
        "loading:Q", title=word("pca.loading", language), legend=alt.Legend(orient="bottom", gradientLength=220),
        scale=alt.Scale(scheme="redblue", domain=[-most, most]),
    )  # fmt: skip
    strong = alt.condition(f"abs(datum.loading) > {0.65 * most}", alt.value("white"), alt.value(INK))
    chart = base.mark_rect().encode(color=colour) + base.mark_text(fontSize=11).encode(text="text:N", color=strong)
    return chart.properties(
        width=64 * len(row.explained), height=max(24 * len(row.benchmarks), 60),
        title=title(word("pca.loadings_title", language), []),
    )  # fmt: skip


def plane(finding: Finding[ComponentsRow], language: str) -> Any:
    """Models in the plane of the first two components, coloured by family, names where there is room."""
    import altair as alt

    row = finding.rows[0]
    second = 1 if len(row.explained) > 1 else 0
    points: list[dict[str, Any]] = [
        {"x": scores[0], "y": scores[second], "name": model, "family": row.families[model]}
        for model, scores in row.scores.items()
    ]
    families = list(dict.fromkeys(point["family"] for point in points))
    axes = [f"PC{k + 1} ({100 * row.explained[k]:.1f} %)" for k in (0, second)]
    colours = [PALETTE[place % len(PALETTE)] for place in range(len(families))]
    legend = alt.Legend(columns=1 + len(families) // 26) if len(families) <= 40 else None
    colour = alt.Color(
        "family:N",
        sort=families,
        scale=alt.Scale(domain=families, range=colours),
        title=word("pca.family", language),
        legend=legend,
    )
    chart = named_points(points, axes[0], axes[1], colour, ["name:N", "family:N", "x:Q", "y:Q"])
    return chart.properties(title=title(word("pca.plane_title", language), []))


def against_flops(finding: Finding[ComponentsRow], language: str) -> Any:
    """PC1 against log10 training FLOPs: points and a line for each family, its R² in the legend."""
    import altair as alt

    row = finding.rows[0]
    lines = [one for one in row.family_lines if one.n >= 3]
    name = {one.family: f"{one.family} (R² {one.r2:.3f})" for one in lines}
    points: list[dict[str, Any]] = [
        {"x": row.log10_flops[model], "y": scores[0], "name": model, "family": name[row.families[model]]}
        for model, scores in row.scores.items()
        if model in row.log10_flops and row.families[model] in name
    ]
    ends = []
    for one in lines:
        own = [point["x"] for point in points if point["family"] == name[one.family]]
        reach = (min(own), max(own)) if own else ()
        ends += [{"x": x, "y": one.intercept + one.slope * x, "family": name[one.family]} for x in reach]
    families = list(name.values())
    scale = alt.Scale(domain=families, range=[PALETTE[place % len(PALETTE)] for place in range(len(families))])
    colour = alt.Color("family:N", scale=scale, sort=families, title=word("pca.family", language))
    encoded = {
        "x": alt.X("x:Q", title=word("pca.flops", language), scale=alt.Scale(zero=False)),
        "y": alt.Y("y:Q", title="PC1", scale=alt.Scale(zero=False)),
        "color": colour,
    }
    dots = (
        alt.Chart(alt.InlineData(values=points))
        .mark_circle(size=55, opacity=0.9)
        .encode(**encoded, tooltip=["name:N", "x:Q", "y:Q"])
    )
    drawn = alt.Chart(alt.InlineData(values=ends)).mark_line(strokeWidth=1.6).encode(**encoded)
    return (drawn + dots).properties(width=560, height=400, title=title(word("pca.flops_title", language), []))


def shares(finding: Finding[TableShare], language: str) -> Any:
    """Bars of the explained shares with their intervals, and the line of permuted columns, a panel a table."""
    import altair as alt

    measured, permuted = word("pca.measured", language), word("pca.permuted", language)
    labels = {row.table: _label(row, language) for row in finding.rows}
    rows = [
        {
            "model": labels[row.table], "component": f"PC{row.component}", "place": row.component,
            "share": 100 * row.explained, "low": None if row.explained_low is None else 100 * row.explained_low,
            "high": None if row.explained_high is None else 100 * row.explained_high, "parallel": 100 * row.parallel,
            "text": f"{100 * row.explained:.0f}", "series": measured,
        }
        for row in finding.rows
    ]  # fmt: skip
    components = [f"PC{place}" for place in range(1, 1 + max(row.component for row in finding.rows))]
    x = alt.X("component:N", title=None, sort=components, axis=alt.Axis(labelAngle=0, grid=False))
    y = alt.Y("share:Q", title=word("pca.share", language), scale=alt.Scale(domain=[0, 100]))
    scale = alt.Scale(domain=[measured, permuted], range=[BAR, LAW])
    legend = alt.Legend(title=None, orient="bottom", symbolType="square", symbolStrokeWidth=0)
    base = alt.Chart().encode(x=x)
    tooltip = ["component:N", "share:Q", "low:Q", "high:Q", "parallel:Q"]
    layers = [
        base.mark_bar(width={"band": 0.6}).encode(
            y=y, color=alt.Color("series:N", scale=scale, legend=legend), tooltip=tooltip
        ),
        base.mark_rule(strokeWidth=1.5, color=INK).encode(y="low:Q", y2="high:Q"),
        base.mark_line(point=alt.OverlayMarkDef(filled=True, size=36, color=LAW), strokeDash=[5, 3]).encode(
            y="parallel:Q", color=alt.datum(permuted), order="place:Q"
        ),
        base.mark_text(dx=6, dy=-6, align="left", fontSize=11, color=INK).encode(y="share:Q", text="text:N"),
    ]
    names = list(dict.fromkeys(labels.values()))
    layered = alt.layer(*layers, data=alt.InlineData(values=rows)).properties(
        width=panel_width(len(names), 420), height=220
    )
    return panels(layered, names).properties(title=title(word("pca.tables_title", language), names))


def _label(row: TableShare, language: str) -> str:
    return word("pca.table_label", language, table=escaped(row.table, 40), models=row.models, benchmarks=row.benchmarks)


def has(finding: Finding[Any], name: str) -> bool:
    """Whether there are components to draw, and for their line over FLOPs a family of three models at least."""
    if finding.kind is not PCA:
        return True
    row = finding.rows[0]
    return bool(row.explained) and (name != "flops" or any(one.n >= 3 for one in row.family_lines))
