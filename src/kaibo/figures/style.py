"""The look that all figures share, and the frame of panels for several models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kaibo.figures.drawable import with_drawable_strings

if TYPE_CHECKING:
    import altair as alt

FONT = (
    "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, "
    "'Hiragino Sans', 'Yu Gothic UI', Meiryo, 'Noto Sans CJK JP', 'Noto Sans JP', IPAexGothic, IPAGothic, sans-serif"
)
"""Names without Japanese characters first, then the usual Japanese ones of macOS, Windows and Linux."""

INK = "#1f2933"
MUTED = "#5f6c7b"
GRID = "#e4e9ee"
BAR = "#8fb4d9"
LAW = "#d62728"
GAUSSIAN = "#4a5563"
MIXTURE = "#1f5fbf"

CONFIG: dict[str, Any] = {
    "font": FONT,
    "background": "white",
    "padding": 8,
    "view": {"stroke": None},
    "axis": {
        "labelColor": MUTED,
        "titleColor": INK,
        "titleFontWeight": "normal",
        "titleFontSize": 12,
        "titlePadding": 8,
        "labelFontSize": 11,
        "gridColor": GRID,
        "domainColor": "#b8c2cc",
        "tickColor": "#b8c2cc",
        "labelLimit": 220,
        "labelFlush": False,
    },
    "title": {
        "anchor": "start",
        "fontSize": 15,
        "fontWeight": 600,
        "color": INK,
        "subtitleColor": MUTED,
        "subtitleFontSize": 12,
        "subtitlePadding": 4,
        "offset": 12,
        "limit": 640,
    },
    "legend": {
        "labelColor": INK,
        "titleColor": MUTED,
        "titleFontWeight": "normal",
        "labelLimit": 220,
        "symbolLimit": 0,
        "symbolOpacity": 1,
        "labelFontSize": 11,
        "titleFontSize": 11,
    },
    "header": {"labelFontSize": 12, "labelColor": INK, "labelFontWeight": 600, "labelLimit": 320, "title": None},
    "facet": {"spacing": 24},
    "concat": {"spacing": 32},
}


def finished(chart: Any, caption: str) -> alt.TopLevelMixin:
    """The chart with the shared look, its names drawable, and its caption as what a screen reader says."""
    dressed = with_drawable_strings(chart).properties(description=caption)
    dressed.config = CONFIG
    return dressed  # type: ignore[no-any-return]


def panel_width(models: int, alone: int = 520) -> int:
    """How wide a panel is, so that a row of panels is as wide as a page: `alone`, two in a row, or three."""
    return alone if models <= 1 else 300 if models in (2, 4) else 220


def panels(chart: Any, models: list[str]) -> Any:
    """One panel for a model each where there are several; `chart` carries its data and a column `model`."""
    import altair as alt

    if len(models) <= 1:
        return chart
    header = alt.Header(title=None, labelOrient="top", labelAnchor="start")
    return chart.facet(
        facet=alt.Facet("model:N", sort=models, header=header), columns=2 if len(models) in (2, 4) else 3
    )


def title(text: str, models: list[str]) -> Any:
    """A chart's title, the model's name below it where there is only one."""
    import altair as alt

    return alt.TitleParams(text, subtitle=models[0]) if len(models) == 1 else alt.TitleParams(text)
