"""Scores against size or training FLOPs: a panel a benchmark, a colour a series, the frontier as a line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kaibo.figures.scatter import PALETTE
from kaibo.figures.style import BAR, INK, LAW, MUTED
from kaibo.words import count_in_words, percent, word

if TYPE_CHECKING:
    from kaibo.chapters.published.rows import AgainstRow, PairedRow, PassRow, ShareRow
    from kaibo.vocabulary import Finding

MOST_PANELS, COLUMNS = 12, 4
TICKS = {
    "parameters": [1e9, 3e9, 1e10, 3e10, 1e11, 3e11, 1e12],
    "tokens": [1e11, 1e12, 1e13],
    "flops": [1e21, 1e22, 1e23, 1e24, 1e25],
}
LABELS = {
    "parameters": "datum.value / 1e9 + 'B'",
    "tokens": "datum.value / 1e12 + 'T'",
    "flops": "format(datum.value, '~e')",
}
"""Marks of the axes, and how they are spelled: as the models' own names spell their sizes."""

AGAINST_TIPS = (("model", "N"), ("series", "N"), ("x", "Q"), ("score", "Q"), ("leads", "N"), ("times", "N"))
"""What a point says: model, series, size or FLOPs, score, whether it leads, how much more the other side needed."""


def panels(finding: Finding[AgainstRow], language: str) -> Any:
    """One panel for each benchmark; a click on the legend shows one series."""
    import altair as alt

    axis = finding.rows[0].axis
    order = sorted(finding.rows, key=lambda row: (not row.own, row.series))
    series = list(dict.fromkeys(row.series for row in order))
    chosen = alt.selection_point(name=f"series_{axis}", fields=["series"], bind="legend")
    benchmarks = list(dict.fromkeys(row.benchmark for row in finding))[:MOST_PANELS]
    drawn = []
    for place, name in enumerate(benchmarks):
        sides = place >= len(benchmarks) - COLUMNS, place % COLUMNS == 0
        rows = [row for row in finding if row.benchmark == name]
        x, y = _axes(axis, sides, language)
        dots = _dots(rows, series, chosen, language).encode(x=x, y=y)
        heading = alt.TitleParams(name, fontSize=12, fontWeight=600, offset=4)
        drawn.append(alt.layer(_front(rows).encode(x=x, y=y), dots).properties(width=150, height=125, title=heading))
    drawn[0] = drawn[0].add_params(chosen)  # hoisted to the whole figure, whose legend is one
    chart = alt.concat(*drawn, columns=COLUMNS).resolve_scale(x="shared", y="independent", color="shared")
    said = word("against.subtitle", language)
    return chart.properties(title=alt.TitleParams(word(f"against.{axis}_title", language), subtitle=said))


def _axes(against: str, sides: tuple[bool, bool], language: str) -> tuple[Any, Any]:
    """The axes of a panel; only the lowest panels name what is across, only the first of a row what is up."""
    import altair as alt

    below, beside = sides
    axis = alt.Axis(values=TICKS[against], labelExpr=LABELS[against], grid=False)
    across = word(f"against.{against}", language) if below else None
    x = alt.X("x:Q", title=across, axis=axis, scale=alt.Scale(type="log", nice=False, padding=10))
    up = word("against.score", language) if beside else None
    return x, alt.Y("score:Q", title=up, scale=alt.Scale(zero=False, padding=6), axis=alt.Axis(tickCount=4))


def _dots(rows: list[AgainstRow], series: list[str], chosen: Any, language: str) -> Any:
    """The models: a colour a series, a circle for the one in question and a diamond for the rest."""
    import altair as alt

    sides = [word("against.own", language), word("against.rest", language)]
    points = [
        {
            "model": row.model,
            "series": row.series,
            "side": sides[0] if row.own else sides[1],
            "x": row.x,
            "score": row.value,
            "leads": word("terms.yes" if row.leads else "terms.no", language),
            "times": word("against.unreached", language) if row.needed_times is None else f"{row.needed_times:.3g} ×",
        }
        for row in rows
    ]
    colours = alt.Scale(domain=series, range=[PALETTE[place % len(PALETTE)] for place in range(len(series))])
    legend, shapes = alt.Legend(orient="bottom", columns=6), alt.Scale(domain=sides, range=["circle", "diamond"])
    tips = [alt.Tooltip(f"{name}:{kind}", title=word(f"against.tip_{name}", language)) for name, kind in AGAINST_TIPS]
    return (
        alt.Chart(alt.InlineData(values=points))
        .mark_point(filled=True, size=62)
        .encode(
            color=alt.Color(
                "series:N", sort=series, scale=colours, title=word("against.series", language), legend=legend
            ),
            shape=alt.Shape("side:N", title=word("against.side", language), scale=shapes, legend=legend),
            opacity=alt.condition(chosen, alt.value(0.95), alt.value(0.08)),
            tooltip=tips,
        )
    )


def _front(rows: list[AgainstRow]) -> Any:
    """A stair through the models that nobody of their size or less beats."""
    import altair as alt

    led = [{"x": row.x, "score": row.value} for row in rows if row.leads]
    return alt.Chart(alt.InlineData(values=led)).mark_line(
        interpolate="step-after", color=MUTED, strokeDash=[3, 3], strokeWidth=1.2
    )


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
            "curve": row.series in curved,
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
    tips = [alt.Tooltip(f"{name}:{kind}", title=word(f"passes.{name}", language)) for name, kind in PASS_TIPS]
    base = alt.Chart(alt.InlineData(values=points)).encode(
        x=x,
        color=alt.Color("series:N", sort=series, scale=colours, title=word("passes.series", language)),
        opacity=alt.condition(chosen, alt.value(0.95), alt.value(0.06)),
    )
    lines = (
        base.transform_filter("datum.curve").mark_line(strokeWidth=1.7).encode(y=y, strokeDash=dash, detail="model:N")
    )
    dots = base.mark_circle(size=44).encode(y=y, tooltip=tips)
    heading = alt.TitleParams(NAMES.get(rows[0].benchmark, rows[0].benchmark), fontSize=12, fontWeight=600, offset=4)
    return alt.layer(lines, dots).properties(width=255, height=330, title=heading)


NAMES = {"HE": "HumanEval"}
"""Test sets by the short names that tables give them."""

PASS_TIPS = (("model", "N"), ("k", "Q"), ("value", "Q"), ("low", "Q"), ("high", "Q"), ("alike", "Q"))


FROM = 0.6
"""Where bars begin, as a part of the least share: a logarithmic axis has no zero."""


def bars(finding: Finding[ShareRow], language: str) -> Any:
    """The largest on top; the one that is asked about in another colour."""
    import altair as alt

    shown = [row for row in finding if row.share > 0]
    least = min(row.share_low or row.share for row in shown)
    rows: list[dict[str, Any]] = [
        {
            "name": row.label,
            "share": row.share,
            "from": FROM * least,
            "low": row.share_low,
            "high": row.share_high,
            "amount": count_in_words(row.amount, language),
            "marked": row.marked,
            "label": f"{percent(row.share)} · {count_in_words(row.amount, language)}",
        }
        for row in shown
    ]
    scale = alt.Scale(type="log", domain=[FROM * least, 12.0], nice=False)
    axis = alt.Axis(format="~%", values=[10.0**power for power in range(-6, 1)], labelOverlap=False)
    x = alt.X("share:Q", title=word("shares.axis", language), scale=scale, axis=axis)
    y = alt.Y("name:N", sort=[row["name"] for row in rows], title=None, axis=alt.Axis(ticks=False, domain=False))
    tips = [
        alt.Tooltip("name:N", title=word("shares.name", language)),
        alt.Tooltip("share:Q", format=".2%", title=word("shares.share", language)),
        alt.Tooltip("low:Q", format=".3%", title=word("shares.low", language)),
        alt.Tooltip("high:Q", format=".3%", title=word("shares.high", language)),
        alt.Tooltip("amount:N", title=word("shares.amount", language)),
    ]
    base = alt.Chart(alt.InlineData(values=rows)).encode(y=y, tooltip=tips)
    colour = alt.condition("datum.marked", alt.value(LAW), alt.value(BAR))
    layers = [
        base.mark_bar(height={"band": 0.7}).encode(x=x, x2="from:Q", color=colour),
        base.transform_filter("datum.low > 0").mark_rule(color=INK, strokeWidth=1.4).encode(x="low:Q", x2="high:Q"),
        base.mark_text(align="left", dx=8, fontSize=10, color=INK).encode(x=alt.X("high:Q"), text="label:N"),
    ]
    return alt.layer(*layers).properties(
        width=560, height={"step": 17}, title=alt.TitleParams(word("shares.title", language))
    )
