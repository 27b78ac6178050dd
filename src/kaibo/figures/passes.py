"""pass@k over k on a logarithmic axis: a panel a test set, a colour a family of models, light to dark with size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kaibo.figures.scatter import PALETTE
from kaibo.figures.words import count_in_words, word

if TYPE_CHECKING:
    from kaibo.analyses.pass_curves import PassRow
    from kaibo.vocabulary import Finding

DASHES = ([1, 0], [7, 3], [4, 2], [1, 2], [9, 2, 2, 2], [3, 1])


def curves(finding: Finding[PassRow], language: str) -> Any:
    """A line for each model with several k, points alone for those with one."""
    import altair as alt

    benchmarks = list(dict.fromkeys(row.benchmark for row in finding))
    series = _by_curves(finding)
    chosen = alt.selection_point(name="passes", fields=["series"], bind="legend")
    sizes = sorted({row.parameters for row in finding if row.parameters and row.series in _curved(finding)})
    names = {size: count_in_words(size, language).strip() for size in sizes}
    drawn = [
        _panel(
            [row for row in finding if row.benchmark == name], _Look(series, names, _curved(finding)), chosen, language
        )
        for name in benchmarks
    ]
    drawn[0] = drawn[0].add_params(chosen)  # hoisted to the whole figure, whose legend is one
    chart = alt.hconcat(*drawn).resolve_scale(y="shared", color="shared", strokeDash="shared")
    return chart.properties(title=alt.TitleParams(word("passes.title", language)))


@dataclass(frozen=True)
class _Look:
    """What the panels share: the series in order, the names of sizes, and the series that are curves."""

    series: list[str]
    sizes: dict[float, str]
    curved: set[str]


def _curved(finding: Finding[PassRow]) -> set[str]:
    ks = {model: {row.k for row in finding if row.model == model} for model in {row.model for row in finding}}
    return {row.series for row in finding if len(ks[row.model]) > 2}


def _by_curves(finding: Finding[PassRow]) -> list[str]:
    """The series with curves first, then those of single points."""
    curved = _curved(finding)
    return list(dict.fromkeys(row.series for row in sorted(finding, key=lambda row: row.series not in curved)))


def _panel(rows: list[PassRow], look: _Look, chosen: Any, language: str) -> Any:
    import altair as alt

    series, sizes, curved = look.series, look.sizes, look.curved

    points = [
        {
            "model": row.model, "series": row.series, "k": row.k, "value": row.value, "low": row.low, "high": row.high,
            "alike": row.alike, "size": sizes.get(row.parameters or 0.0, "-") if row.series in curved else "-",
        }
        for row in rows
    ]  # fmt: skip
    ks = sorted({row.k for row in rows})
    x = alt.X(
        "k:Q", title=word("passes.k", language), scale=alt.Scale(type="log", nice=False, padding=14),
        axis=alt.Axis(values=ks, format="d", grid=False),
    )  # fmt: skip
    y = alt.Y(
        "value:Q", title=word("passes.value", language), axis=alt.Axis(format="%"), scale=alt.Scale(domain=[0, 1])
    )
    colours = alt.Scale(domain=series, range=[PALETTE[place % len(PALETTE)] for place in range(len(series))])
    shades = list(sizes.values())
    dash = alt.StrokeDash(
        "size:N", sort=shades, title=word("passes.size", language),
        scale=alt.Scale(domain=shades, range=[DASHES[place % len(DASHES)] for place in range(len(shades))]),
    )  # fmt: skip
    tips = [alt.Tooltip(f"{name}:{kind}", title=word(f"passes.{name}", language)) for name, kind in TIPS]
    base = alt.Chart(alt.InlineData(values=points)).encode(
        x=x,
        color=alt.Color("series:N", sort=series, scale=colours, title=word("passes.series", language)),
        opacity=alt.condition(chosen, alt.value(0.95), alt.value(0.06)),
    )
    lines = (
        base.transform_filter("datum.size != '-'")
        .mark_line(strokeWidth=1.7)
        .encode(y=y, strokeDash=dash, detail="model:N")
    )
    dots = base.mark_circle(size=44).encode(y=y, tooltip=tips)
    heading = alt.TitleParams(NAMES.get(rows[0].benchmark, rows[0].benchmark), fontSize=12, fontWeight=600, offset=4)
    return alt.layer(lines, dots).properties(width=255, height=330, title=heading)


NAMES = {"HE": "HumanEval"}
"""Test sets by the short names that tables give them."""

TIPS = (("model", "N"), ("k", "Q"), ("value", "Q"), ("low", "Q"), ("high", "Q"), ("alike", "Q"))
