"""How far the first digits of a model can be moved without changing what it computes: a bar from end to end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kaibo.figures.names import model_names
from kaibo.figures.style import BAR, INK, LAW, title
from kaibo.figures.words import word

if TYPE_CHECKING:
    from kaibo.analyses.scaling import RescaleRow
    from kaibo.vocabulary import Finding


def reach(finding: Finding[RescaleRow], language: str) -> Any:
    """A bar for each model over the distances it can be brought to; its own as a dot, a Gaussian's as a tick."""
    import altair as alt

    names = model_names(row.model for row in finding.rows)
    records = []
    for model, name in names.items():
        rows = [row for row in finding.rows if row.model == model]
        ends = [row.mae for row in rows] + [rows[0].mae_before]
        gaussian = rows[0].gaussian_mae
        records.append({"model": name, "low": min(ends), "high": max(ends), "own": ends[-1], "gaussian": gaussian})
    legend = [word(f"rescaling.{key}", language) for key in ("own", "gaussian")]
    axis = alt.Axis(format=".3f", tickCount=8)
    scale = alt.Scale(domainMin=0, nice=True)
    y = alt.Y("model:N", sort=list(names.values()), title=None, axis=alt.Axis(ticks=False, labelPadding=10))
    base = alt.Chart(alt.InlineData(values=records)).encode(y=y)
    x = alt.X("low:Q", scale=scale, axis=axis, title=word("rescaling.axis", language))
    tooltip = [alt.Tooltip(f"{key}:Q", format=".6f") for key in ("low", "own", "high")]
    layers = [
        base.mark_bar(height=16, color=BAR).encode(x=x, x2="high:Q", tooltip=tooltip),
        base.mark_point(size=90, filled=True, color=INK, opacity=1).encode(x="own:Q", tooltip=tooltip),
        base.mark_tick(color=LAW, thickness=2, size=24).encode(x="gaussian:Q"),
    ]
    said = f"● {legend[0]}   │ {legend[1]}"
    heading = title(word("rescaling.title", language), [])
    heading.subtitle = said
    return alt.layer(*layers).properties(width=560, height=44 * len(records), title=heading)
