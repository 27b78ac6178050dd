"""Laws: what each predicts for every model beside what was observed, and the errors of all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kaibo.figures.placing import place_labels
from kaibo.figures.scatter import last_part
from kaibo.figures.style import BAR, INK, LAW, MIXTURE, MUTED, title
from kaibo.words import word

if TYPE_CHECKING:
    from kaibo.chapters.law.rows import LawRow
    from kaibo.vocabulary import Finding


WIDTH, HEIGHT = 500, 440


def _names(points: list[dict[str, Any]], worst: list[dict[str, Any]], span: list[float]) -> list[Any]:
    """Names of the models furthest off, beside their points where no other point or name is."""
    import altair as alt

    def pixel(point: dict[str, Any]) -> tuple[float, float]:
        size = span[1] - span[0]
        across, up = (point["observed"] - span[0]) / size, (point["predicted"] - span[0]) / size
        return across * WIDTH, (1 - up) * HEIGHT

    rest = [point for point in points if point not in worst]
    labels = [last_part(str(point["model"])) for point in worst]
    places = place_labels([pixel(point) for point in [*worst, *rest]], [*labels, *("" for _ in rest)], WIDTH, HEIGHT)
    layers = []
    for point, label, place in zip(worst, labels, places, strict=False):
        if place is None:
            continue
        text = alt.Chart(alt.InlineData(values=[{**point, "label": label}]))
        mark: dict[str, Any] = {
            "dx": place[0],
            "dy": place[1],
            "align": place[2],
            "fontSize": 10,
            "color": INK,
            "fontWeight": 600,
        }
        layers.append(text.mark_text(**mark).encode(x="observed:Q", y="predicted:Q", text="label:N"))
    return layers


def predictions(finding: Finding[LawRow], language: str) -> Any:
    """Predicted against observed with the 95 % prediction interval of each model; on the diagonal the law is right."""
    import altair as alt

    row = finding.rows[0]
    train, test = word("law.train", language), word("law.test", language)
    points: list[dict[str, Any]] = [
        {
            "model": one.model, "observed": one.observed, "predicted": one.predicted, "low": one.low, "high": one.high,
            "part": train if one.train else test,
        }
        for one in row.residuals
    ]  # fmt: skip
    worst = sorted((p for p in points if p["part"] == test), key=lambda p: -abs(p["observed"] - p["predicted"]))[:5]
    most = max(max(float(p["observed"]), float(p["high"])) for p in points)
    least = min(0.0, min(float(p["observed"]) for p in points))
    span = [least, 1.0 if 0.9 < most <= 1.0 else most * 1.03]
    scale = alt.Scale(domain=[train, test], range=[MIXTURE, LAW])
    colour = alt.Color("part:N", scale=scale, legend=alt.Legend(title=None, orient="bottom"))
    x = alt.X(
        "observed:Q", title=word("law.observed", language, target=row.target), scale=alt.Scale(domain=span, nice=False)
    )
    base = alt.Chart(alt.InlineData(values=points)).encode(x=x)
    ends = [{"observed": end, "predicted": end} for end in span]
    diagonal = alt.Chart(alt.InlineData(values=ends)).mark_line(strokeDash=[4, 4], color=MUTED)
    y = alt.Y(
        "predicted:Q",
        title=word("law.predicted", language, predictor=row.chosen),
        scale=alt.Scale(domain=span, nice=False),
    )
    shown = ["model:N", "observed:Q", "predicted:Q", "low:Q", "high:Q"]
    layers = [
        diagonal.encode(x="observed:Q", y=y),
        base.mark_rule(opacity=0.45).encode(y="low:Q", y2="high:Q", color=colour),
        base.mark_circle(size=55, opacity=0.9).encode(y=y, color=colour, tooltip=shown),
        *_names(points, worst, span),
    ]  # fmt: skip
    return alt.layer(*layers).properties(
        width=WIDTH, height=HEIGHT, title=title(word("law.predictions_title", language), [row.target])
    )


def errors(finding: Finding[LawRow], language: str) -> Any:
    """Training and test error of every predictor set, on a logarithmic scale."""
    import altair as alt

    row = finding.rows[0]
    train, test = word("law.train", language), word("law.test", language)
    cells = [
        {"predictor": name, "part": part, "error": value, "text": f"{value:.2e}"}
        for name in row.train_mse
        for part, value in ((train, row.train_mse[name]), (test, row.test_mse[name]))
        if value is not None and value > 0
    ]
    scale = alt.Scale(domain=[train, test], range=[BAR, LAW])
    base = alt.Chart(alt.InlineData(values=cells)).encode(
        y=alt.Y(
            "predictor:N", sort=list(row.train_mse), title=word("law.predictor", language), axis=alt.Axis(grid=False)
        ),
        x=alt.X(
            "error:Q",
            scale=alt.Scale(type="log", nice=True),
            title=word("law.error", language),
            axis=alt.Axis(format="~e", tickCount=5),
        ),
    )
    dots = base.mark_circle(size=110, opacity=1).encode(
        color=alt.Color("part:N", scale=scale, legend=alt.Legend(title=None, orient="bottom")),
        tooltip=["predictor:N", "part:N", "error:Q"],
    )
    text = [
        base.transform_filter(alt.datum.part == part).mark_text(dy=dy, fontSize=10, color=INK).encode(text="text:N")
        for part, dy in ((train, 16), (test, -11))
    ]
    height = 50 * len(row.train_mse)
    return alt.layer(dots, *text).properties(
        width=460, height=height, title=title(word("law.errors_title", language), [row.target])
    )
