"""Where the loss lies: a strip of tokens coloured by their nats, and the mean by how many stood before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kaibo.figures.names import labels_of
from kaibo.figures.placing import text_width
from kaibo.figures.style import INK, panels, title
from kaibo.words import word

if TYPE_CHECKING:
    from kaibo.chapters.score.rows import ContextRow, TokenCell
    from kaibo.vocabulary import Finding

WIDTH, LINE, SIZE = 640, 20, 11
MOST_MODELS = 4


def _laid(cells: list[TokenCell]) -> list[dict[str, Any]]:
    """The tokens as running text, each in a box as wide as it is."""
    found: list[dict[str, Any]] = []
    x, line = 0.0, 0
    for cell in cells:
        shown = cell.piece.replace("\n", "⏎").replace("\t", "⇥").replace(" ", "·") or "…"
        shown = "".join(one if one.isprintable() else "▯" for one in shown[:40])
        wide = text_width(shown, SIZE) * 1.08 + 5
        if x + wide > WIDTH and x:
            x, line = 0.0, line + 1
        here = {"x": x, "x2": min(x + wide, WIDTH), "y": line * LINE, "y2": (line + 1) * LINE - 2}
        found.append({**here, "token": shown, "nats": cell.nats, "position": cell.place})
        x += wide
        if cell.piece.endswith("\n"):
            x, line = 0.0, line + 1
    return found


def strip(finding: Finding[TokenCell], language: str) -> Any:
    """The first tokens of a text as it reads, pale where the model saw them coming and dark where it did not."""
    import altair as alt

    labels = labels_of(row.model for row in finding.rows)
    chosen = list(labels)[:MOST_MODELS]
    several = [_panel([row for row in finding.rows if row.model == model], labels[model], language) for model in chosen]
    chart = several[0] if len(several) == 1 else alt.vconcat(*several, spacing=24)
    heading = word("score.strip_title", language)
    return chart.properties(title=title(heading, list(labels.values())))


def _panel(cells: list[TokenCell], label: str, language: str) -> Any:
    import altair as alt

    boxes = _laid(cells)
    height = max(box["y2"] for box in boxes) + 2
    x = alt.X("x:Q", axis=None, scale=alt.Scale(domain=[0, WIDTH], nice=False))
    y = alt.Y("y:Q", axis=None, scale=alt.Scale(domain=[0, height], nice=False, reverse=True))
    most = max([box["nats"] for box in boxes if box["nats"] is not None], default=1.0)
    scale = alt.Scale(scheme="orangered", domain=[0, max(12.0, round(most))], clamp=True)
    legend = alt.Legend(title=word("score.nats", language), orient="bottom", gradientLength=200)
    base = alt.Chart(alt.InlineData(values=boxes))
    colour = alt.condition("datum.nats === null", alt.value("#e8ecf0"), alt.Color("nats:Q", scale=scale, legend=legend))
    rects = base.mark_rect(cornerRadius=2).encode(
        x=x, x2="x2:Q", y=y, y2="y2:Q", color=colour, tooltip=["token:N", "nats:Q", "position:Q"]
    )
    ink = alt.condition(f"datum.nats > {0.62 * max(12.0, most):.3f}", alt.value("white"), alt.value(INK))
    texts = base.mark_text(align="left", baseline="middle", dx=2, dy=LINE / 2 - 1, fontSize=SIZE).encode(
        x=x, y=y, text="token:N", color=ink
    )
    return (rects + texts).properties(width=WIDTH, height=height)


def by_context(finding: Finding[ContextRow], language: str) -> Any:
    """Mean nats against the number of tokens before, a panel for each model."""
    import altair as alt

    labels = labels_of(row.model for row in finding.rows)
    points = [
        {
            "model": labels[row.model], "before": max(row.least, 0.5), "nats": row.mean_nats, "low": row.nats_low,
            "high": row.nats_high, "tokens": row.tokens,
        }
        for row in finding.rows
    ]  # fmt: skip
    x = alt.X("before:Q", scale=alt.Scale(type="log", base=2, nice=False), title=word("score.before", language))
    y = alt.Y("nats:Q", title=word("score.mean_nats", language), scale=alt.Scale(zero=False))
    base = alt.Chart().encode(x=x)
    line = base.mark_line(point=True).encode(y=y, tooltip=["before:Q", "nats:Q", "low:Q", "high:Q", "tokens:Q"])
    band = base.transform_filter("datum.low !== null").mark_area(opacity=0.18).encode(y="low:Q", y2="high:Q")
    names = list(labels.values())
    chart = alt.layer(band, line, data=alt.InlineData(values=points)).properties(
        width=480 if len(names) == 1 else 220, height=260
    )
    return panels(chart, names).properties(title=title(word("score.context_title", language), names))
