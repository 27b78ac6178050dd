"""Differences of two rows of a table: a dot with its interval for each benchmark, a colour for each pair."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kaibo.figures.scatter import PALETTE
from kaibo.figures.style import INK, MUTED
from kaibo.figures.words import word

if TYPE_CHECKING:
    from kaibo.analyses.paired import PairedRow
    from kaibo.vocabulary import Finding


def differences(finding: Finding[PairedRow], language: str) -> Any:
    """One line of dots a benchmark, in the order of the table; zero is marked."""
    import altair as alt

    benchmarks = list(dict.fromkeys(row.benchmark for row in finding))
    pairs = list(dict.fromkeys(f"{row.one} − {row.other}" for row in finding))
    exact, none = word("paired.known", language), word("paired.unknown", language)
    points = [_point(row, exact, none) for row in finding]
    chosen = alt.selection_point(name="pair", fields=["pair"], bind="legend")
    colours = alt.Scale(domain=pairs, range=[PALETTE[place % len(PALETTE)] for place in range(len(pairs))])
    legend = alt.Legend(orient="bottom", columns=1, labelLimit=560)
    colour = alt.Color("pair:N", sort=pairs, scale=colours, title=word("paired.pair", language), legend=legend)
    shown = alt.condition(chosen, alt.value(1.0), alt.value(0.08))
    offset: Any = alt.YOffset("pair:N", sort=pairs)
    y = alt.Y(
        "benchmark:N", sort=benchmarks, title=None, axis=alt.Axis(ticks=False, domain=False, labelLimit=240, grid=False)
    )
    base = alt.Chart(alt.InlineData(values=points)).encode(y=y, yOffset=offset, color=colour, opacity=shown)
    tips = [alt.Tooltip(f"{name}:{kind}", title=word(f"paired.{name}", language)) for name, kind in TIPS]
    x = alt.X("difference:Q", title=word("paired.axis", language))
    layers = []
    if any(point["low"] is not None for point in points):
        known = base.transform_filter("isValid(datum.low)")
        bars = known.mark_rule(strokeWidth=1.8).encode(x="low:Q", x2="high:Q")
        layers = [bars, known.mark_point(size=58, filled=True).encode(x=x, tooltip=tips)]
    hollow = base.transform_filter("!isValid(datum.low)").mark_point(size=58, strokeWidth=1.8)
    zero = alt.Chart(alt.InlineData(values=[{"difference": 0}])).mark_rule(color=MUTED, strokeDash=[4, 3])
    layers = [zero.encode(x=x), *layers, hollow.encode(x=x, tooltip=tips)]
    said = f"●─ {exact}   ○ {none}"
    step = max(26, 12 * len(pairs))
    return alt.layer(*layers).add_params(chosen).properties(
        width=480, height={"step": step, "for": "position"},
        title=alt.TitleParams(word("paired.title", language), subtitle=said, subtitleColor=INK),
    )  # fmt: skip


TIPS = (
    *(("pair", "N"), ("benchmark", "N"), ("a", "Q"), ("b", "Q"), ("difference", "Q"), ("low", "Q"), ("high", "Q")),
    *(("questions", "Q"), ("q", "Q")),
)


def _point(row: PairedRow, exact: str, none: str) -> dict[str, Any]:
    return {
        "pair": f"{row.one} − {row.other}",
        "benchmark": row.benchmark,
        "a": row.value_a,
        "b": row.value_b,
        "difference": row.difference,
        "low": row.difference_low,
        "high": row.difference_high,
        "questions": row.questions,
        "q": row.q,
        "known": none if row.questions is None else exact,
    }
