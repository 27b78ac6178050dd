"""Before a merge: where task vectors pull in opposite directions, and what is left of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kaibo.figures.names import labels_of, short
from kaibo.figures.style import BAR, MIXTURE, panel_width, panels, title
from kaibo.words import word

if TYPE_CHECKING:
    from kaibo.chapters.merge.rows import ConflictRow
    from kaibo.vocabulary import Finding


def conflict_map(finding: Finding[ConflictRow], language: str) -> Any:
    """The share of positions in conflict as colour: a column per layer, a row per role."""
    import altair as alt

    records = [
        {"layer": row.layer, "role": short(str(row.role)), "conflict": 100 * row.conflict, "touched": row.touched}
        for row in finding.rows
        if row.touched
    ]
    roles = list(dict.fromkeys(short(str(row.role)) for row in finding.rows))
    layers = sorted({row.layer for row in finding.rows if row.layer is not None})
    step = next(step for step in (1, 2, 5, 10, 20, 50, 100, 1000, 10**9) if len(layers) / step <= 24)
    legend = alt.Legend(title=word("merge.conflict", language), orient="bottom", gradientLength=260, format=".3~g")
    chart = (
        alt.Chart(alt.InlineData(values=records))
        .mark_rect()
        .encode(
            x=alt.X(
                "layer:O",
                title=word("merge.layer", language),
                scale=alt.Scale(domain=layers),
                axis=alt.Axis(values=[layer for layer in layers if layer % step == 0], labelAngle=0, ticks=False),
            ),
            y=alt.Y("role:N", sort=roles, scale=alt.Scale(domain=roles), title=None, axis=alt.Axis(ticks=False)),
            color=alt.Color("conflict:Q", scale=alt.Scale(scheme="inferno", domainMin=0), legend=legend),
            tooltip=[
                alt.Tooltip("role:N", title=word("columns.role", language)),
                alt.Tooltip("layer:O", title=word("columns.layer", language)),
                alt.Tooltip("conflict:Q", title=word("merge.conflict", language), format=".4g"),
                alt.Tooltip("touched:Q", title=word("columns.touched", language), format=","),
            ],
        )
        .properties(width=min(640, max(260, 22 * len(layers))), height={"step": 20})
    )
    return chart.properties(title=title(word("merge.map_title", language), []))


def survival(finding: Finding[ConflictRow], language: str) -> Any:
    """What trimming keeps of each task vector, a bar a part; what goes into the merge, and what is outvoted."""
    import altair as alt

    labels = labels_of(finding.provenance["tuned"], 44)
    texts = [word(f"merge.{name}", language) for name in ("elected", "outvoted")]
    records = [
        {"model": label, "part": _part(row, language), "what": text, "at": at, "share": 100 * share}
        for row in finding.rows
        for place, label in enumerate(labels.values())
        for at, (text, share) in enumerate(zip(texts, _shares(row, place), strict=True))
    ]
    parts = list(dict.fromkeys(_part(row, language) for row in finding.rows))
    chart = (
        alt.Chart(alt.InlineData(values=records))
        .mark_bar()
        .encode(
            x=alt.X("share:Q", title=word("merge.share", language), stack="zero"),
            y=alt.Y("part:N", sort=parts, scale=alt.Scale(domain=parts), title=None, axis=alt.Axis(ticks=False)),
            order="at:Q",
            color=alt.Color(
                "what:N",
                scale=alt.Scale(domain=texts, range=[MIXTURE, BAR]),
                legend=alt.Legend(title=None, orient="bottom"),
            ),
            tooltip=["part:N", "what:N", alt.Tooltip("share:Q", title="%", format=".4g")],
        )
        .properties(width=panel_width(len(labels)), height={"step": 20})
    )
    shown = list(labels.values())
    return panels(chart, shown).properties(title=title(word("merge.survival_title", language), shown))


def _part(row: ConflictRow, language: str) -> str:
    return word("terms.outside", language) if row.key is None else short(str(row.key))


def _shares(row: ConflictRow, place: int) -> tuple[float, float]:
    kept = row.kept_each[place]
    won = kept * row.elected_each[place] if kept else 0.0
    return won, kept - won
