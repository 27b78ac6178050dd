"""How far the first digits of a model can be moved without changing what it computes: a bar from end to end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kaibo.figures.names import model_names
from kaibo.figures.style import BAR, INK, LAW, MIXTURE, title
from kaibo.words import word

if TYPE_CHECKING:
    from kaibo.chapters.rescale.rows import LawTrialRow, RescaleRow
    from kaibo.vocabulary import Finding


def reach(finding: Finding[RescaleRow], language: str) -> Any:
    """A bar for each model over the distances it can be brought to; its own as a dot, a Gaussian's as a tick."""
    import altair as alt

    names = model_names(row.model for row in finding.rows)
    records = []
    for model, name in names.items():
        rows = [row for row in finding.rows if row.model == model]
        ends = [row.mae for row in rows] + [rows[0].mae_before]
        gaussian = rows[0].gaussian_mae
        records.append({"model": name, "low": min(ends), "high": max(ends), "own": ends[-1], "gaussian": gaussian})
    legend = [word(f"rescaling.{key}", language) for key in ("own", "gaussian")]
    axis = alt.Axis(format=".3f", tickCount=8)
    scale = alt.Scale(domainMin=0, nice=True)
    y = alt.Y("model:N", sort=list(names.values()), title=None, axis=alt.Axis(ticks=False, labelPadding=10))
    base = alt.Chart(alt.InlineData(values=records)).encode(y=y)
    x = alt.X("low:Q", scale=scale, axis=axis, title=word("rescaling.axis", language))
    tooltip = [alt.Tooltip(f"{key}:Q", format=".6f") for key in ("low", "own", "high")]
    layers = [
        base.mark_bar(height=16, color=BAR).encode(x=x, x2="high:Q", tooltip=tooltip),
        base.mark_point(size=90, filled=True, color=INK, opacity=1).encode(x="own:Q", tooltip=tooltip),
        base.mark_tick(color=LAW, thickness=2, size=24).encode(x="gaussian:Q"),
    ]
    said = f"● {legend[0]}   │ {legend[1]}"
    heading = title(word("rescaling.title", language), [])
    heading.subtitle = said
    return alt.layer(*layers).properties(width=560, height=44 * len(records), title=heading)


CONTROL = "-control"


def beside_control(finding: Finding[LawTrialRow], language: str) -> Any:
    """A line for each construction; beside each dot stands its distance from the law."""
    import altair as alt

    kinds = [word(f"law_trial.{key}", language) for key in ("trained", "follows", "off")]
    records = [_record(row, kinds, language) for row in finding.rows]
    order = list(dict.fromkeys(record["variant"] for record in records))
    scale = alt.Scale(type="log", nice=False, padding=60)
    ticks = [value for power in range(9) for value in (10**power, 3 * 10**power)]
    axis = alt.Axis(format="~s", values=[one for one in ticks if 0.3 * _least(records) < one < 3 * _most(records)])
    y = alt.Y("variant:N", sort=order, title=None, axis=alt.Axis(ticks=False, labelPadding=10, labelLimit=260))
    legend = alt.Legend(title=None, orient="bottom", symbolType="circle", labelLimit=400, columns=1)
    colour = alt.Color("kind:N", scale=alt.Scale(domain=kinds, range=[INK, MIXTURE, LAW]), legend=legend)
    base = alt.Chart(alt.InlineData(values=records)).encode(y=y)
    x = alt.X("ppl:Q", scale=scale, axis=axis, title=word("law_trial.axis", language))
    tooltip = ["variant:N", "kind:N", *(alt.Tooltip(f"{key}:Q", format=".4g") for key in ("ppl", "low", "high", "mae"))]
    layers = [
        base.mark_line(color=BAR, strokeWidth=1).encode(x=x, detail="variant:N"),
        base.mark_rule(strokeWidth=3).encode(x=alt.X("low:Q", scale=scale, axis=axis), x2="high:Q", color=colour),
        base.mark_point(filled=True, size=70, opacity=1).encode(x=x, color=colour, tooltip=tooltip),
        base.mark_text(dy=-11, fontSize=10, color=INK).encode(x=x, text="said:N"),
    ]
    heading = alt.TitleParams(word("law_trial.title", language), subtitle=word("law_trial.said", language))
    return alt.layer(*layers).properties(width=520, height=alt.Step(40), title=heading)


def _record(row: LawTrialRow, kinds: list[str], language: str) -> dict[str, Any]:
    stem = row.variant.removesuffix(CONTROL)
    kind = 0 if row.same else 1 if row.variant.endswith(CONTROL) else 2
    return {
        "variant": word(f"law_trial.{stem.replace('-', '_')}", language),
        "kind": kinds[kind],
        "ppl": row.ppl,
        "low": row.ppl if row.ppl_low is None else row.ppl_low,
        "high": row.ppl if row.ppl_high is None else row.ppl_high,
        "mae": row.mae,
        "said": "" if kind == 1 else f"{row.mae:.4f}",
    }


def _least(records: list[dict[str, Any]]) -> float:
    return min((float(record["ppl"]) for record in records), default=1.0)


def _most(records: list[dict[str, Any]]) -> float:
    return max((float(record["ppl"]) for record in records), default=1.0)
