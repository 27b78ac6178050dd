"""Where a model's parameters are: one bar a role, the largest on top."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kaibo.figures.names import distinct, model_names, short
from kaibo.figures.style import INK, MIXTURE, panel_width, panels, title
from kaibo.figures.words import count_in_words, count_unit, percent, word

if TYPE_CHECKING:
    from kaibo.vocabulary import Finding


def by_role(finding: Finding[Any], language: str) -> Any:
    """Bars of parameters by role, each with its count and share; one panel a model."""
    import altair as alt

    names = model_names(row.model for row in finding.rows)
    labels = distinct([names[row.model] for row in finding.rows], 44)
    records = [
        record
        for row, label in zip(finding.rows, labels, strict=True)
        for record in _records(row.parameters_by_role, label, language)
    ]
    sums: dict[str, int] = {}
    for record in records:
        sums[record["role"]] = sums.get(record["role"], 0) + record["count"]
    roles = sorted(sums, key=lambda role: (-sums[role], role))
    most = max((record["count"] for record in records), default=1)
    unit, said = count_unit(most, language)
    axis_title = word("parameters.unit", language, unit=said.strip()) if said else word("parameters.count", language)
    for record in records:
        record["value"] = record["count"] / unit
    base = alt.Chart(alt.InlineData(values=records)).encode(
        y=alt.Y("role:N", sort=roles, title=None, axis=alt.Axis(ticks=False, domain=False)),
        x=alt.X(
            "value:Q",
            title=axis_title,
            axis=alt.Axis(format=",~r", tickCount=5),
            scale=alt.Scale(domain=[0, (1.45 if len(labels) == 1 else 2) * most / unit], nice=False),
        ),
        tooltip=[alt.Tooltip("role:N", title=word("parameters.role", language)), alt.Tooltip("count:Q", format=",")],
    )
    bars = base.mark_bar(color=MIXTURE, opacity=0.75, height={"band": 0.7})
    text = base.mark_text(align="left", dx=5, fontSize=11, color=INK).encode(text="label:N")
    chart = alt.layer(bars, text).properties(width=panel_width(len(labels)), height={"step": 22})
    return panels(chart, labels).properties(title=title(word("parameters.title", language), labels))


def _records(counts: Mapping[str, int], label: str, language: str) -> list[dict[str, Any]]:
    total = sum(counts.values()) or 1
    return [
        {
            "model": label,
            "role": short(role),
            "count": count,
            "label": f"{count_in_words(count, language)} ({percent(count / total)})",
        }
        for role, count in counts.items()
        if count
    ]
