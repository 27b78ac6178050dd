"""Tables beside each other: what each component holds, a panel a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kaibo.errors import escaped
from kaibo.figures.style import BAR, INK, LAW, panel_width, panels, title
from kaibo.figures.words import word

if TYPE_CHECKING:
    from kaibo.analyses.tables_beside import TableShare
    from kaibo.vocabulary import Finding


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
