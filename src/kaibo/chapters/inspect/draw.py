"""Architectures side by side: stacked parameters, caches with and without groups, memory against a card, reach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kaibo.chapters.inspect.rows import INSPECT
from kaibo.figures.names import distinct, model_names, short
from kaibo.figures.style import BAR, INK, LAW, MIXTURE, MUTED, panel_width, panels, title
from kaibo.words import bytes_in_words, count_in_words, count_unit, percent, word

if TYPE_CHECKING:
    from kaibo.chapters.inspect.rows import CacheRow, MemoryRow, ReachRow, RoleShare
    from kaibo.vocabulary import Finding

GROUPS = {
    "embedding": "#4e79a7",
    "attention": "#e08a3c",
    "mlp": "#76a86f",
    "norm": "#9d7a66",
    "head": "#8db3d6",
    "other": "#b8c2cc",
}
SHADES = {32: "#08306b", 16: "#2a6aa3", 8: "#64a0cb", 4: "#b7d4ea"}


def _labels(rows: Sequence[Any]) -> dict[str, str]:
    """A name for each address, in the order of the rows."""
    addresses = list(dict.fromkeys(row.model for row in rows))
    names = model_names(addresses)
    return dict(zip(addresses, distinct([names[one] for one in addresses], 40), strict=True))


def _y(names: dict[str, str]) -> Any:
    import altair as alt

    return alt.Y("model:N", sort=list(names.values()), title=None, axis=alt.Axis(ticks=False, domain=False, grid=False))


def _tips(*columns: tuple[str, str]) -> list[Any]:
    import altair as alt

    return [alt.Tooltip(f"{name}:N", title=said) for name, said in columns]


def roles(finding: Finding[RoleShare], language: str) -> Any:
    """A bar a model, cut by what its parameters are for; a click on the legend shows one group."""
    import altair as alt

    names = _labels(finding.rows)
    order = [group for group in GROUPS if any(row.group == group for row in finding)]
    said = {group: word(f"anatomy.{group}", language) for group in order}
    rows = [
        {
            "model": names[row.model],
            "group": said[row.group],
            "place": order.index(row.group),
            "share": row.share,
            "count": count_in_words(row.count, language),
            "percent": percent(row.share),
        }
        for row in finding
    ]
    chosen = alt.selection_point(name="group", fields=["group"], bind="legend")
    scale = alt.Scale(domain=list(said.values()), range=[GROUPS[group] for group in order])
    legend = alt.Legend(orient="bottom", title=None, columns=len(order))
    tips = _tips(
        *(("model", word("page.model", language)), ("group", word("parameters.role", language))),
        *(("count", word("parameters.count", language)), ("percent", word("anatomy.share", language))),
    )
    chart = alt.Chart(alt.InlineData(values=rows)).mark_bar(height={"band": 0.75})
    return (
        chart.encode(
            y=_y(names),
            x=alt.X(
                "share:Q",
                title=word("anatomy.share", language),
                axis=alt.Axis(format="%"),
                scale=alt.Scale(domain=[0, 1]),
            ),
            color=alt.Color("group:N", sort=list(said.values()), scale=scale, legend=legend),
            opacity=alt.condition(chosen, alt.value(1.0), alt.value(0.12)),
            order="place:Q",
            tooltip=tips,
        )
        .add_params(chosen)
        .properties(width=560, height={"step": 21}, title=alt.TitleParams(word("anatomy.roles_title", language)))
    )


def cache(finding: Finding[CacheRow], language: str) -> Any:
    """Bytes of the cache for one token: as it is, and as a ring what it was with a head of keys a query head."""
    import altair as alt

    names = _labels(finding.rows)
    rows = [
        {
            "model": names[row.model],
            "grouped": row.kv_bytes_per_token / 1e3,
            "ungrouped": row.ungrouped / 1e3,
            "said": f"{row.attention}: {row.heads} / {row.kv_heads}",
            "times": f"{row.saved:.3g} ×",
            "full": bytes_in_words(row.full),
            "ungrouped_full": bytes_in_words(row.ungrouped_full),
            "label": f"÷ {row.saved:.3g}" if row.saved > 1 else "",
        }
        for row in finding
    ]
    tips = _tips(
        *(("model", word("page.model", language)), ("said", word("anatomy.heads", language))),
        *(("grouped", word("anatomy.grouped", language)), ("ungrouped", word("anatomy.ungrouped", language))),
        *(("times", word("anatomy.times", language)), ("full", word("anatomy.full", language))),
        ("ungrouped_full", word("anatomy.ungrouped_full", language)),
    )
    base = alt.Chart(alt.InlineData(values=rows)).encode(y=_y(names), tooltip=tips)
    x = alt.X("grouped:Q", title=word("anatomy.cache_axis", language), scale=alt.Scale(domainMin=0))
    layers = [
        base.mark_bar(height={"band": 0.7}, color=BAR).encode(x=x),
        base.mark_rule(color=MUTED, strokeDash=[2, 3]).encode(x="grouped:Q", x2="ungrouped:Q"),
        base.mark_point(size=60, color=LAW, strokeWidth=1.8).encode(x="ungrouped:Q"),
        base.mark_text(align="left", dx=8, fontSize=11, color=INK).encode(x="ungrouped:Q", text="label:N"),
    ]
    said = word("anatomy.cache_said", language)
    return alt.layer(*layers).properties(
        width=540, height={"step": 21}, title=alt.TitleParams(word("anatomy.cache_title", language), subtitle=said)
    )


def memory(finding: Finding[MemoryRow], language: str) -> Any:
    """Bytes of the weights at each width on a logarithmic axis, and the card as a line."""
    import altair as alt

    names = _labels(finding.rows)
    widths = {row.bits: word("anatomy.bits", language, bits=row.bits) for row in finding}
    rows = [
        {
            "model": names[row.model],
            "width": widths[row.bits],
            "gigabytes": row.weights / 1e9,
            "with_cache": "-" if row.with_cache is None else f"{row.with_cache / 1e9:.3g} GB",
            "fits": word("terms.yes" if row.fits else "terms.no", language),
            "fits_cache": "-" if row.fits_with_cache is None else _yes(row.fits_with_cache, language),
        }
        for row in finding
    ]
    chosen = alt.selection_point(name="bit_width", fields=["width"], bind="legend")
    scale = alt.Scale(domain=list(widths.values()), range=[SHADES.get(bits, MIXTURE) for bits in widths])
    tips = [
        *_tips(("model", word("page.model", language)), ("width", word("anatomy.width", language))),
        alt.Tooltip("gigabytes:Q", format=".3~r", title=word("anatomy.memory_axis", language)),
        *_tips(("fits", word("anatomy.fits", language)), ("with_cache", word("anatomy.with_cache", language))),
        *_tips(("fits_cache", word("anatomy.fits_with_cache", language))),
    ]
    x = alt.X(
        "gigabytes:Q", title=word("anatomy.memory_axis", language), scale=alt.Scale(type="log", nice=False, padding=12),
        axis=alt.Axis(values=[2, 5, 10, 20, 40, 80, 160, 320], format="~r", grid=True),
    )  # fmt: skip
    base = alt.Chart(alt.InlineData(values=rows)).encode(y=_y(names))
    dots = base.mark_circle(size=95).encode(
        x=x, tooltip=tips, opacity=alt.condition(chosen, alt.value(1.0), alt.value(0.1)),
        color=alt.Color("width:N", sort=list(widths.values()), scale=scale, legend=alt.Legend(title=None)),
    )  # fmt: skip
    card = finding.rows[0].card / 1e9
    line = alt.Chart(alt.InlineData(values=[{"gigabytes": card}])).mark_rule(color=LAW, strokeWidth=1.6)
    layers = alt.layer(line.encode(x="gigabytes:Q"), dots).add_params(chosen)
    said = word("anatomy.card", language, size=f"{card:.3g}")
    return layers.properties(
        width=500, height={"step": 21}, title=alt.TitleParams(word("anatomy.memory_title", language), subtitle=said)
    )


def _yes(value: bool, language: str) -> str:
    return word("terms.yes" if value else "terms.no", language)


def reach(finding: Finding[ReachRow], language: str) -> Any:
    """Context, window and slowest turn of each model on one logarithmic axis of tokens; the extension as a line."""
    import altair as alt

    names = _labels(finding.rows)
    said = {name: word(f"anatomy.{name}", language) for name in ("window", "context", "slowest")}
    rows = [
        {
            "model": names[row.model],
            "what": said[what],
            "tokens": value,
            "base": "-" if row.rope_base is None else f"{row.rope_base:,.0f}",
            "factor": f"{row.stretch:.3g} ×",
            "extended_cache": bytes_in_words(row.extended_cache),
        }
        for row in finding
        for what, value in (("window", row.window), ("context", row.context), ("slowest", row.slowest))
        if value is not None and (what != "window" or row.windowed_layers)
    ]
    scale = alt.Scale(domain=list(said.values()), range=["#e08a3c", MIXTURE, "#9aa5b1"])
    shapes = alt.Scale(domain=list(said.values()), range=["triangle-right", "circle", "diamond"])
    x = alt.X(
        "tokens:Q", title=word("anatomy.reach_axis", language), axis=alt.Axis(format="~s", tickCount=6),
        scale=alt.Scale(type="log", nice=False, padding=12),
    )  # fmt: skip
    tips = [
        *_tips(("model", word("page.model", language)), ("what", word("anatomy.what", language))),
        alt.Tooltip("tokens:Q", format=",.0f", title=word("anatomy.tokens", language)),
        *_tips(("base", word("anatomy.base", language)), ("factor", word("anatomy.factor", language))),
        *_tips(("extended_cache", word("anatomy.extended_cache", language))),
    ]
    legend = alt.Legend(title=None, orient="bottom")
    dots = (
        alt.Chart(alt.InlineData(values=rows))
        .mark_point(filled=True, size=95, opacity=1)
        .encode(
            *(x, _y(names)),
            color=alt.Color("what:N", scale=scale, legend=legend, sort=list(said.values())),
            shape=alt.Shape("what:N", scale=shapes, legend=legend, sort=list(said.values())),
            tooltip=tips,
        )
    )
    extended = finding.rows[0].extended
    line = alt.Chart(alt.InlineData(values=[{"tokens": extended}])).mark_rule(color=LAW, strokeDash=[5, 4])
    subtitle = word("anatomy.extended", language, tokens=f"{extended:,}")
    return alt.layer(line.encode(x="tokens:Q"), dots).properties(
        width=540, height={"step": 21}, title=alt.TitleParams(word("anatomy.reach_title", language), subtitle=subtitle)
    )


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


def has(finding: Finding[Any], name: str) -> bool:
    """Whether the parameters of any model are known by role."""
    return finding.kind is not INSPECT or any(row.parameters_by_role for row in finding.rows)
