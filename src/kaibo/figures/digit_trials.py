"""Perplexity of models off Benford's law beside their controls: two dots on a line, with intervals and distances."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kaibo.figures.style import BAR, INK, LAW, MIXTURE
from kaibo.figures.words import word

if TYPE_CHECKING:
    from kaibo.analyses.law_trial import LawTrialRow
    from kaibo.vocabulary import Finding

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
