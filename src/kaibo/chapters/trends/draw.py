"""Trends of tokens: shares of the classes, sets along training, containment, pairs of one perplexity, sentences."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from kaibo.chapters.trends.rows import TRENDS
from kaibo.figures.placing import text_width
from kaibo.figures.style import INK, MUTED, title
from kaibo.words import word

if TYPE_CHECKING:
    from kaibo.chapters.trends.followed_rows import ContainmentRow, FollowedRow, PairRow, PassageRow
    from kaibo.chapters.trends.rows import DescentRow, TrendRow
    from kaibo.vocabulary import Finding

ORDER = ("downward", "stagnated", "upward", "undecided")
COLOURS = {"upward": "#c8323c", "downward": "#2469b3", "stagnated": "#3a8a4d", "undecided": "#5f6c7b"}
TINTS = {"upward": "#fbdcdc", "downward": "#d8e7f7", "stagnated": "#dcf0df", "undecided": "#f4f6f8"}
RAMP = ("#9cc3e2", "#64a0cb", "#3a7ab3", "#1c5088", "#0b2149")
LOGARITHMIC = ("size", "step", "tokens", "flops", "ppl")
FORMATS = {"start": "~g", "size": "~s", "step": "~s", "tokens": "~s", "flops": "~e", "ppl": "~g"}
LINE = 780
"""Pixels after which a sentence goes on in the next line."""


def _models(rows: Any) -> list[str]:
    return list(dict.fromkeys(row.model for row in rows))


def _shades(models: list[str], language: str) -> Any:
    """Light to dark in the order of the models, which is that of their size."""
    import altair as alt

    last = max(len(models) - 1, 1)
    shades = [RAMP[-1]] if len(models) == 1 else [RAMP[round(at * (len(RAMP) - 1) / last)] for at in range(len(models))]
    return alt.Color(
        "model:N", sort=models, title=word("trends.run", language), scale=alt.Scale(domain=models, range=shades)
    )


def _x(against: str, language: str, *, reverse: bool = False, field: str = "x") -> Any:
    import altair as alt

    kind: Any = "log" if against in LOGARITHMIC else "linear"
    start: dict[str, Any] = {} if kind == "log" else {"zero": False}  # a logarithmic axis has no zero to leave out
    scale = alt.Scale(type=kind, nice=False, padding=8, reverse=reverse, **start)
    axis = alt.Axis(format=FORMATS[against], tickCount=5, labelOverlap=True, labelSeparation=8, grid=kind == "linear")
    return alt.X(f"{field}:Q", title=word(f"trends.{against}", language), scale=scale, axis=axis)


def shares(finding: Finding[TrendRow], language: str) -> Any:
    """A panel a class: its share in every run against what was asked for, the uncorrected share as a thin line."""
    import altair as alt

    against = finding.rows[0].against
    models = _models(finding.rows)
    shade, x = _shades(models, language), _x(against, language)
    panels = []
    for trend in ORDER:
        rows = [_share(row, trend) for row in finding.rows if row.shares[trend] is not None]
        y = alt.Y("share:Q", title=word("trends.share", language) if trend in ORDER[::2] else None)
        bare = alt.Chart(alt.InlineData(values=rows)).encode(x=x)
        base = bare.encode(color=shade)
        order = alt.Order("start:Q")
        layers = [
            bare.mark_area(opacity=0.12, line=False).encode(y=alt.Y("low:Q"), y2="high:Q", fill=shade.copy()),
            base.mark_line(strokeWidth=1, strokeDash=[3, 3], opacity=0.8).encode(y="plain:Q", order=order),
            base.mark_line(strokeWidth=2.2, point=alt.OverlayMarkDef(size=45)).encode(
                y=y, order=order, tooltip=["model:N", "start:Q", "x:Q", "share:Q", "plain:Q"]
            ),
        ]
        heading = alt.TitleParams(word(f"trends.{trend}", language), fontSize=12, color=COLOURS[trend], offset=6)
        panels.append(alt.layer(*(layers if against == "start" else layers[1:])).properties(
            width=300, height=170, title=heading
        ))  # fmt: skip
    told = alt.TitleParams(word("trends.shares_title", language), subtitle=word("trends.uncorrected", language))
    return alt.concat(*panels, columns=2).properties(title=told)


def _share(row: TrendRow, trend: str) -> dict[str, Any]:
    def percent(value: float | None) -> float | None:
        return None if value is None else 100 * value

    return {
        "model": row.model, "start": row.start, "x": row.x,
        "share": percent(row.shares[trend]), "plain": percent(row.shares_uncorrected[trend]),
        "low": percent(row.shares_low[trend]), "high": percent(row.shares_high[trend]),
    }  # fmt: skip


def by_step(finding: Finding[FollowedRow], language: str) -> Any:
    """A panel a set: its perplexity along training (against tokens or FLOPs where those were asked for)."""
    against = finding.rows[0].against
    return _followed(finding, language, against if against != "ppl" else "step", "by_step")


def by_perplexity(finding: Finding[FollowedRow], language: str) -> Any:
    """A panel a set: its perplexity against that of the whole text, which falls to the right."""
    return _followed(finding, language, "ppl", "by_perplexity")


def _followed(finding: Finding[FollowedRow], language: str, against: str, name: str) -> Any:
    import altair as alt

    field = {"ppl": "text_ppl", "tokens": "trained", "flops": "flops", "step": "step"}[against]
    models = _models(finding.rows)
    x = _x(against, language, reverse=against == "ppl")
    panels = []
    sets = groupby(finding.rows, key=lambda row: (row.set_of, row.trend))
    for place, ((run, trend), rows) in enumerate(sets):
        values = [
            {"model": row.model, "x": getattr(row, field), "step": row.step, "ppl": row.ppl, "line": row.smoothed,
             "low": row.ppl_low, "high": row.ppl_high}
            for row in rows
        ]  # fmt: skip
        bare = alt.Chart(alt.InlineData(values=values)).encode(x=x)
        base = bare.encode(color=_shades(models, language))
        told = word("trends.set_ppl", language) if place % 2 == 0 else None
        how: dict[str, Any] = {
            "scale": alt.Scale(type="log", nice=False, padding=6),
            "axis": alt.Axis(format="~g", tickCount=5),
        }
        band = bare.mark_area(opacity=0.1, line=False).encode(
            y=alt.Y("low:Q", title=told, **how), y2="high:Q", fill=_shades(models, language)
        )
        layers = [
            *([] if against == "ppl" else [band]),
            base.mark_line(strokeWidth=1.8).encode(y=alt.Y("line:Q", title=told, **how), order="step:Q"),
            base.mark_circle(size=16, opacity=0.8).encode(
                y=alt.Y("ppl:Q", title=told, **how), tooltip=["model:N", "step:Q", "x:Q", "ppl:Q", "low:Q", "high:Q"]
            ),
        ]
        said = word("trends.set_of", language, trend=word(f"trends.{trend}", language), run=run)
        heading = alt.TitleParams(said, fontSize=12, color=COLOURS[trend], offset=6, limit=300)
        panels.append(alt.layer(*layers).properties(width=300, height=210, title=heading))
    chart = alt.concat(*panels, columns=2).resolve_scale(y="independent")
    return chart.properties(title=title(word(f"trends.{name}_title", language), []))


def containment(finding: Finding[ContainmentRow], language: str) -> Any:
    """A map a class: how much of the row's set lies in the column's."""
    import altair as alt

    models = list(dict.fromkeys(name for row in finding.rows for name in (row.set_of, row.inside)))
    panels = []
    for trend in [trend for trend in ORDER if any(row.trend == trend for row in finding.rows)]:
        cells = [
            {"of": row.set_of, "inside": row.inside, "share": 100 * row.contained,
             "text": f"{100 * row.contained:.0f} ({100 * row.by_chance:.0f})", "p": row.p, "tokens": row.tokens}
            for row in finding.rows if row.trend == trend
        ]  # fmt: skip
        base = alt.Chart(alt.InlineData(values=cells)).encode(
            x=alt.X("inside:N", sort=models, title=word("trends.within", language),
                    axis=alt.Axis(labelAngle=0, orient="top", ticks=False), scale=alt.Scale(domain=models)),
            y=alt.Y("of:N", sort=models, title=None, axis=alt.Axis(ticks=False), scale=alt.Scale(domain=models)),
        )  # fmt: skip
        scale = alt.Scale(scheme="blues", domain=[0, 100])
        strong = alt.condition("datum.share > 60", alt.value("white"), alt.value(INK))
        square = base.mark_rect().encode(
            color=alt.Color("share:Q", scale=scale, title=word("trends.contained", language), legend=None),
            tooltip=["of:N", "inside:N", "tokens:Q", "share:Q", "p:Q"],
        )
        heading = alt.TitleParams(word(f"trends.{trend}", language), fontSize=12, color=COLOURS[trend], offset=6)
        panels.append((square + base.mark_text(fontSize=11).encode(text="text:N", color=strong)).properties(
            width=86 * len(models), height=34 * len(models), title=heading
        ))  # fmt: skip
    return alt.concat(*panels, columns=2).properties(title=title(word("trends.containment_title", language), []))


def pairs(finding: Finding[PairRow], language: str) -> Any:
    """A panel a pair of runs: correlations at the same perplexity, at the same step, and with the own next."""
    import altair as alt

    kinds = {"r": "same_ppl", "r_same_step": "same_step", "r_neighbour": "neighbour"}
    names = [word(f"trends.{key}", language) for key in kinds.values()]
    colour = alt.Color(
        "kind:N", sort=names, title=word("trends.compared", language),
        scale=alt.Scale(domain=names, range=[COLOURS["upward"], COLOURS["downward"], MUTED]),
    )  # fmt: skip
    panels = []
    for place, ((small, large), several) in enumerate(groupby(finding.rows, key=lambda row: (row.small, row.large))):
        rows = list(several)
        values = [
            {"x": row.ppl_small, "r": getattr(row, field), "kind": name, "low": getattr(row, f"{field}_low", None),
             "high": getattr(row, f"{field}_high", None), "step": row.step_small, "other": row.step_large}
            for row in rows for field, name in zip(kinds, names, strict=True)
        ]  # fmt: skip
        base = alt.Chart(alt.InlineData(values=values)).encode(
            x=_x("ppl", language, reverse=True).title(word("trends.pair_ppl", language)), color=colour
        )
        told = word("trends.pair_r", language) if place % 2 == 0 else None
        y = alt.Y("r:Q", title=told, scale=alt.Scale(zero=False))
        null = [{"x": row.ppl_small, "r": row.r_null} for row in rows if row.r_null is not None]
        layers = [
            alt.Chart(alt.InlineData(values=null))
            .mark_line(color=INK, strokeDash=[2, 3], strokeWidth=1.2)
            .encode(x=_x("ppl", language, reverse=True).title(word("trends.pair_ppl", language)), y=y),
            base.mark_rule(opacity=0.5).encode(y=alt.Y("low:Q", title=told), y2="high:Q"),
            base.mark_line(strokeWidth=1.4, point=True).encode(
                y=y, tooltip=["kind:N", "step:Q", "other:Q", "x:Q", "r:Q"]
            ),
        ]
        heading = alt.TitleParams(
            word("trends.pair", language, small=small, large=large), fontSize=12, offset=6, limit=300
        )
        panels.append(alt.layer(*layers).properties(width=300, height=180, title=heading))
    return alt.concat(*panels, columns=2).properties(title=title(word("trends.pairs_title", language), []))


TURNS = {"low": "triangle-up", "peak": "circle", "end": "triangle-down"}
"""The marks of a bump: where the rise begins, its top, where the fall ends."""


def descent(finding: Finding[DescentRow], language: str) -> Any:
    """A panel a set: its perplexity under every run with its band, and the turns of each bump that was found."""
    import altair as alt

    models = _models(finding.rows)
    panels = []
    for place, ((run, trend), several) in enumerate(groupby(finding.rows, key=lambda row: (row.set_of, row.trend))):
        points = [
            {"model": row.model, "x": point.step, "ppl": point.ppl, "low": point.ppl_low, "high": point.ppl_high,
             "turn": point.turn if row.found else "", "q": row.q}
            for row in several for point in row.curve
        ]  # fmt: skip
        told = word("trends.set_ppl", language) if place % 2 == 0 else None
        panels.append(_descent(points, models, told, language).properties(width=300, height=230, title=alt.TitleParams(
            word("trends.set_of", language, trend=word(f"trends.{trend}", language), run=run),
            fontSize=12, color=COLOURS[trend], offset=6, limit=300,
        )))  # fmt: skip
    chart = alt.concat(*panels, columns=2).resolve_scale(y="independent")
    return chart.properties(title=title(word("trends.descent_title", language), []))


def _descent(points: list[dict[str, Any]], models: list[str], told: str | None, language: str) -> Any:
    import altair as alt

    how: dict[str, Any] = {
        "scale": alt.Scale(type="log", nice=False, padding=6),
        "axis": alt.Axis(format="~g", tickCount=5),
    }
    y = alt.Y("ppl:Q", title=told, **how)
    named = {key: word(f"trends.turn_{key}", language) for key in TURNS}
    marks = [{**point, "turn": named[point["turn"]]} for point in points if point["turn"]]
    shape = alt.Shape(
        "turn:N", sort=list(named.values()), title=word("trends.turn", language),
        scale=alt.Scale(domain=list(named.values()), range=list(TURNS.values())),
    )  # fmt: skip
    bare = alt.Chart(alt.InlineData(values=points)).encode(x=_x("step", language))
    base = bare.encode(color=_shades(models, language))
    band = bare.mark_area(opacity=0.1, line=False).encode(
        y=alt.Y("low:Q", title=told, **how), y2="high:Q", fill=_shades(models, language)
    )
    turns = alt.Chart(alt.InlineData(values=marks)).mark_point(filled=True, size=90, opacity=1, stroke=INK)
    layers = [
        band,
        base.mark_line(strokeWidth=1.8).encode(y=y, order="x:Q", tooltip=["model:N", "x:Q", "ppl:Q", "q:Q"]),
        turns.encode(
            x=_x("step", language), y=y, shape=shape, fill=_shades(models, language),
            tooltip=["model:N", "turn:N", "x:Q", "ppl:Q", "q:Q"],
        ),
    ]  # fmt: skip
    return alt.layer(*layers)


def passages(finding: Finding[PassageRow], language: str) -> Any:
    """The sentences as they stand, a block a run, each token on the colour of its class."""
    import altair as alt

    boxes, labels, y = _laid(finding)
    kinds = list(ORDER)
    names = [word(f"trends.{kind}", language) for kind in kinds]
    shown = dict(zip(kinds, names, strict=True))
    for box in boxes:
        box["class"] = shown[box.pop("trend")]
    data = alt.Chart(alt.InlineData(values=boxes))
    plain: dict[str, Any] = {"axis": None, "scale": alt.Scale(domain=[0, LINE + 40], nice=False)}
    down: dict[str, Any] = {"axis": None, "scale": alt.Scale(domain=[y, 0], nice=False)}

    def colour(palette: dict[str, str], **more: Any) -> Any:
        return alt.Color(
            "class:N", sort=names, title=None,
            scale=alt.Scale(domain=names, range=[palette[kind] for kind in kinds]), **more,
        )  # fmt: skip

    tooltip = ["class:N", "slope:Q", "q:Q", "ppl:Q", "ratio:Q"]
    layers = [
        data.mark_rect(cornerRadius=2).encode(
            x=alt.X("x:Q", **plain), x2="x2:Q", y=alt.Y("y:Q", **down), y2="y2:Q",
            color=colour(TINTS, legend=None), tooltip=tooltip,
        ),
        data.mark_text(align="left", baseline="middle", fontSize=12, dx=1).encode(
            x=alt.X("x:Q", **plain), y=alt.Y("middle:Q", **down), text="token:N", tooltip=tooltip,
            color=colour(COLOURS, legend=alt.Legend(orient="top", symbolType="square")),
        ),
        alt.Chart(alt.InlineData(values=labels)).mark_text(align="left", baseline="middle", fontSize=11, fontWeight=600)
        .encode(x=alt.X("x:Q", **plain), y=alt.Y("y:Q", **down), text="text:N"),
    ]  # fmt: skip
    chart = alt.layer(*layers).resolve_scale(color="independent").properties(width=LINE + 40, height=y)
    return chart.properties(title=title(word("trends.passages_title", language), []))


def _laid(finding: Finding[PassageRow]) -> tuple[list[dict[str, Any]], list[dict[str, Any]], float]:
    """Boxes for tokens, labels for runs, and the height of it all, in pixels."""
    boxes: list[dict[str, Any]] = []
    labels: list[dict[str, Any]] = []
    y = 8.0
    for (number, model), rows in groupby(finding.rows, key=lambda row: (row.passage, row.model)):
        labels.append({"x": 0, "y": y + 6, "text": f"{number} · {model}"})
        x, y = 0.0, y + 18
        for row in rows:
            text = row.text.replace("\n", "⏎").replace("\t", " ")
            if not text:
                continue
            width = text_width(text, 12) + 3
            if x + width > LINE and x > 0:
                x, y = 0.0, y + 21
            boxes.append({
                "x": x, "x2": x + width - 1, "y": y, "y2": y + 18, "middle": y + 9, "token": text,
                "trend": row.trend, "slope": row.slope, "q": row.q, "ppl": row.ppl, "ratio": row.ratio,
            })  # fmt: skip
            x += width
        y += 34
    return boxes, labels, y


def has(finding: Finding[Any], name: str) -> bool:
    """Whether a drawing has something to show."""
    return finding.kind is not TRENDS or any(row.shares["upward"] is not None for row in finding.rows)
