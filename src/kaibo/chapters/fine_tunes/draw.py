"""Fine-tunes by method and learning rate: how far they went, how far apart they are, and what is alike in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kaibo.chapters.fine_tunes.rows import FINE_TUNE_RATIOS
from kaibo.figures.names import short
from kaibo.figures.style import GAUSSIAN, LAW, MIXTURE, panels, title
from kaibo.words import word

if TYPE_CHECKING:
    from kaibo.chapters.fine_tunes.rows import ApartRow, KeptRow, MethodRow, RankRow, RatioRow, TunedRow
    from kaibo.vocabulary import Finding

HUES = (MIXTURE, "#e08214", "#2a9d62", "#8c6bb1", "#c2507a", "#17a2b8")
STEP = 30
AXIS = {"tickCount": 4, "labelOverlap": True}


def has(finding: Finding[Any], name: str) -> bool:
    """Whether there is anything to draw: ratios need two seeds of two data sets."""
    return finding.kind is not FINE_TUNE_RATIOS or any(row.ratio is not None for row in finding.rows)


def lengths(finding: Finding[TunedRow], language: str) -> Any:
    """L2 of each change: a row for each cell, a point for each fine-tune, what bfloat16 rounds away dashed."""
    rows = finding.rows
    against = {name: word(f"fine_tunes.{name}", language) for name in ("base", "parent")}
    places = [f"{row.cell} · {against[row.against]}" if _several(rows, row.cell) else row.cell for row in rows]
    records = [
        {"place": place, "l2": row.l2, "what": row.dataset, "seed": row.seed, "bf16": row.bf16_l2}
        for place, row in zip(places, rows, strict=True)
        if row.l2 > 0
    ]
    whats = list(dict.fromkeys(row.dataset for row in rows))
    return _strip(records, whats, "fine_tunes.l2", language).properties(
        title=title(word("fine_tunes.lengths_title", language), [])
    )


def _several(rows: Sequence[TunedRow], cell: str) -> bool:
    return len({row.against for row in rows if row.cell == cell}) > 1


def distances(finding: Finding[ApartRow], language: str) -> Any:
    """L2 between each two fine-tunes of a cell, coloured by what differs between them."""
    whats = {name: word(f"fine_tunes.{name}", language) for name in ("seed", "data", "both")}
    records = [
        {
            "place": row.cell,
            "l2": row.l2,
            "what": whats[row.apart_by],
            "seed": f"{row.dataset}; {row.seed}",
            "bf16": row.bf16_l2,
            "cosine": row.cosine if row.cosine == row.cosine else None,
        }
        for row in finding.rows
        if row.l2 > 0
    ]
    return _strip(records, list(whats.values()), "fine_tunes.distance", language).properties(
        title=title(word("fine_tunes.distances_title", language), [])
    )


def _strip(records: list[dict[str, Any]], whats: list[str], axis: str, language: str) -> Any:
    """Points along a logarithmic axis, a row for each place, with the rounding of bfloat16 as a dashed line."""
    import altair as alt

    bf16 = word("fine_tunes.bf16", language)
    for record in records:
        record["rounding"] = bf16
    ends = [end for record in records for end in (record["l2"], record["bf16"]) if end > 0]
    domain = [min(ends, default=0.5) / 1.4, max(ends, default=1.0) * 1.4]
    base = alt.Chart(alt.InlineData(values=records))
    places = list(dict.fromkeys(record["place"] for record in records))
    scale = alt.Scale(type="log", domain=domain, nice=False)
    x = alt.X(
        "l2:Q", title=word(axis, language), scale=scale, axis=alt.Axis(format="~g", tickCount=5, labelOverlap=True)
    )
    y = alt.Y("place:N", sort=places, title=None, axis=alt.Axis(labelLimit=300, ticks=False, grid=True))
    colour = alt.Color(
        "what:N",
        scale=alt.Scale(domain=whats, range=list(HUES)),
        legend=alt.Legend(title=None, orient="bottom", columns=1 if max(map(len, whats)) > 24 else 3, labelLimit=420),
    )
    shift = alt.YOffset("what:N", sort=whats)
    tooltip = ["place:N", "what:N", "seed:N", alt.Tooltip("l2:Q", title="L2", format=".4g")]
    if any("cosine" in record for record in records):
        tooltip.append(alt.Tooltip("cosine:Q", title=word("columns.cosine", language), format=".4f"))
    dash = alt.StrokeDash(
        "rounding:N", scale=alt.Scale(range=[[4, 3]]), legend=alt.Legend(title=None, orient="bottom", labelLimit=420)
    )
    line = base.mark_rule(color=GAUSSIAN).encode(x=alt.X("bf16:Q", title=word(axis, language)), strokeDash=dash)
    dots = base.mark_point(filled=True, size=70, opacity=0.85).encode(
        x=x, y=y, yOffset=shift, color=colour, tooltip=tooltip
    )
    return alt.layer(line, dots).properties(width=460, height=alt.Step(STEP / max(1, len(whats)) * 1.2))


def ratios(finding: Finding[RatioRow], language: str) -> Any:
    """Distance between data sets ÷ between seeds of each part, a panel for each cell; the interval over tensors."""
    import altair as alt

    rows = [row for row in finding.rows if row.ratio is not None and row.distance_norm == "l2"]
    parts = list(dict.fromkeys(_part(row.role, language) for row in rows))
    cells = list(dict.fromkeys(row.cell for row in rows))
    records = [
        {
            "model": row.cell,
            "part": _part(row.role, language),
            "ratio": row.ratio,
            "low": row.tensors_low,
            "high": row.tensors_high,
            "one": 1.0,
        }
        for row in rows
    ]
    x = alt.X("ratio:Q", title=word("fine_tunes.ratio", language), scale=alt.Scale(zero=False, padding=14), axis=AXIS)
    chart = _with_interval(records, x, alt.Y("part:N", sort=parts, title=None, axis=alt.Axis(ticks=False)), MIXTURE)
    rule = chart[1].mark_rule(color=GAUSSIAN, strokeDash=[4, 3]).encode(x=alt.X("one:Q"))
    layered = alt.layer(rule, *chart[0]).properties(width=300 if len(cells) > 1 else 460, height=alt.Step(20))
    return panels(layered, cells).properties(title=title(word("fine_tunes.ratios_title", language), cells))


def _part(role: str, language: str) -> str:
    return word("terms.all", language) if role == "all" else short(role)


def _with_interval(records: list[dict[str, Any]], x: Any, y: Any, colour: str) -> tuple[list[Any], Any]:
    """Bars of the intervals and points on them, and the chart that they come from."""
    import altair as alt

    base = alt.Chart(alt.InlineData(values=records))
    name = str(x["shorthand"]).partition(":")[0]
    tooltip = [alt.Tooltip(f"{field}:Q", format=".4f") for field in (name, "low", "high")]
    bars = (
        base.transform_filter("isValid(datum.low)")
        .mark_rule(strokeWidth=3, opacity=0.45, color=colour)
        .encode(x=alt.X("low:Q", title=x["title"], scale=x["scale"], axis=x["axis"]), x2="high:Q", y=y)
    )
    dots = base.mark_point(filled=True, size=70, color=colour, opacity=1).encode(x=x, y=y, tooltip=tooltip)
    return [bars, dots], base


def methods(finding: Finding[MethodRow], language: str) -> Any:
    """The change by one method beside that by another: how long it is and the cosine of the two, pairs and means."""
    import altair as alt

    from kaibo.chapters.fine_tunes.rows import short_rate

    names = [f"{row.a} ÷ {row.b}, {short_rate(row.learning_rate)}" for row in finding.rows]
    drawn = []
    for name, single, at in (("ratio", "ratios", 1.0), ("cosine", "cosines", 0.0)):
        said = word(f"fine_tunes.{name}_of", language)
        means = [
            {
                "place": place,
                "value": getattr(row, name),
                "low": getattr(row, f"{name}_low"),
                "high": getattr(row, f"{name}_high"),
                "at": at,
            }
            for place, row in zip(names, finding.rows, strict=True)
        ]
        each = [
            {"place": place, "one": one}
            for place, row in zip(names, finding.rows, strict=True)
            for one in getattr(row, single)
        ]
        y = alt.Y("place:N", sort=names, title=None, axis=alt.Axis(ticks=False, labels=name == "ratio", labelLimit=260))
        x = alt.X("value:Q", title=said, scale=alt.Scale(zero=name == "cosine", padding=12), axis=AXIS)
        layers, base = _with_interval(means, x, y, MIXTURE)
        rule = base.mark_rule(color=GAUSSIAN, strokeDash=[4, 3]).encode(x=alt.X("at:Q", title=said))
        ticks = (
            alt.Chart(alt.InlineData(values=each))
            .mark_tick(thickness=2, size=12, color=LAW, opacity=0.8)
            .encode(x=alt.X("one:Q", title=said), y=y)
        )
        drawn.append(alt.layer(rule, *layers, ticks).properties(width=250, height=alt.Step(STEP)))
    return alt.hconcat(*drawn).properties(title=title(word("fine_tunes.methods_title", language), []))


def kept(finding: Finding[KeptRow], language: str) -> Any:
    """The share of L2 that the largest k % hold: a line for each cell, dashed where each tensor is trimmed alone."""
    import altair as alt

    cells = list(dict.fromkeys(row.cell for row in finding.rows))
    scopes = {name: word(f"diff.scope_{name}", language) for name in ("global", "tensor")}
    norms = {name: word(f"diff.{name}", language) for name in ("l1", "l2")}
    records = [
        {
            "model": text,
            "cell": row.cell,
            "scope": scopes[row.scope],
            "percent": row.percent,
            "share": 100 * getattr(row, f"{norm}_share"),
            "low": 100 * getattr(row, f"{norm}_share_low"),
            "high": 100 * getattr(row, f"{norm}_share_high"),
        }
        for row in finding.rows
        for norm, text in norms.items()
    ]
    marks = [0.1, 0.5, 1, 5, 10, 20, 50, 100]
    x = alt.X(
        "percent:Q",
        title=word("diff.percent", language),
        scale=alt.Scale(type="log", domain=[0.1, 100], nice=False),
        axis=alt.Axis(values=marks, format="~g", labelOverlap=True),
    )
    colour = alt.Color(
        "cell:N",
        scale=alt.Scale(domain=cells, range=list(HUES)),
        legend=alt.Legend(title=None, orient="bottom", columns=3, symbolType="stroke"),
    )
    dash = alt.StrokeDash(
        "scope:N",
        scale=alt.Scale(domain=list(scopes.values()), range=[[1, 0], [5, 4]]),
        legend=alt.Legend(title=None, orient="bottom", symbolSize=400, columns=1),
    )
    tooltip = [
        "cell:N",
        "scope:N",
        *(alt.Tooltip(f"{name}:Q", format=".4g") for name in ("percent", "share", "low", "high")),
    ]
    chart = (
        alt.Chart(alt.InlineData(values=records))
        .mark_line(strokeWidth=1.8)
        .encode(
            x=x,
            y=alt.Y("share:Q", title=word("diff.share", language), scale=alt.Scale(domain=[0, 100])),
            color=colour,
            strokeDash=dash,
            tooltip=tooltip,
        )
        .properties(width=300, height=260)
    )
    return panels(chart, list(norms.values())).properties(title=title(word("fine_tunes.kept_title", language), []))


def ranks(finding: Finding[RankRow], language: str) -> Any:
    """The effective rank of the changes by role, a panel for each cell, with its interval."""
    import altair as alt

    cells = list(dict.fromkeys(row.cell for row in finding.rows))
    roles = list(dict.fromkeys(short(row.role) for row in finding.rows))
    records = [
        {
            "model": row.cell,
            "role": short(row.role),
            "erank": row.erank,
            "low": row.erank_low,
            "high": row.erank_high,
            "above": row.above_rounding,
        }
        for row in finding.rows
    ]
    x = alt.X("erank:Q", title=word("fine_tunes.erank", language), scale=alt.Scale(zero=True), axis=AXIS)
    layers, base = _with_interval(
        records, x, alt.Y("role:N", sort=roles, title=None, axis=alt.Axis(ticks=False)), MIXTURE
    )
    above = base.mark_tick(thickness=2, size=14, color=LAW).encode(
        x=alt.X("above:Q", title=word("fine_tunes.erank", language)), y=alt.Y("role:N", sort=roles)
    )
    layered = alt.layer(*layers, above).properties(width=190 if len(cells) > 2 else 300, height=alt.Step(20))
    return panels(layered, cells).properties(title=title(word("fine_tunes.ranks_title", language), cells))
