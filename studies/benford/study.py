"""Do parameters follow Benford's law, and does it matter? Digits of models, of checkpoints, of fine-tunes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import kaibo

REPORTED = "first-digits"
GAUSSIAN = (0.0001, 0.0235)
"""The MAE that Gaussian rows can be brought to by rescalings with powers of two that leave every logit as it is."""

NAMES = {
    "Meta-Llama-3.1-8B-Instruct": "llama",
    "Qwen2-7B-Instruct": "qwen",
    "gemma-2-9b-it": "gemma",
    "Mistral-7B-Instruct-v0.2": "mistral",
    "Swallow-7b-instruct-v0.1": "swallow",
}
"""The source's models, and what their claims are called."""


@dataclass(frozen=True)
class Measured:
    """Digits of the models given, of a family's ends and of its checkpoints; the published MAE beside scores."""

    reported: Any
    published: dict[str, float]
    models: Any | None
    ends: Any | None
    along: Any | None
    members: tuple[Mapping[str, Any], ...]


def measure(inputs: kaibo.Inputs) -> Measured:
    """Correlates the published numbers, and counts the digits of every model and member given."""
    table = kaibo.score_table(REPORTED)
    at = table.benchmarks.index("MAE")
    published = {model: float(row[at]) for model, row in zip(table.models, table.values, strict=True)}
    own = [one for one in inputs.members if one.get("place") not in ("adapter", None)]
    ends = [one for one in own if one.get("last")]
    along = [one for one in own if one.get("place") == "family"]
    return Measured(
        kaibo.correlate(f"{REPORTED}:MAE", f"{REPORTED}:score"),
        published,
        digits(list(inputs.models), inputs),
        digits([one["address"] for one in ends], inputs),
        digits([one["address"] for one in along], inputs),
        tuple(own),
    )


def digits(addresses: Sequence[str], inputs: kaibo.Inputs) -> Any | None:
    """First digits of models; None where none were given."""
    return kaibo.digits(list(addresses), settings=inputs.settings) if addresses else None


def analyse(measured: Measured) -> kaibo.Results:
    """The claims that can be answered, and the questions that the source left open, as far as members answer them."""
    row = measured.reported.rows[0]
    outcomes = [
        kaibo.Outcome("r", row.pearson, row.low, row.high, n=row.n),
        kaibo.Outcome("p", row.p, n=row.n),
        kaibo.Outcome("inside-gaussian-range", inside(measured.published), n=len(measured.published)),
        *of_models(measured.models),
    ]
    named = {"reported": measured.reported, "models": measured.models, "ends": measured.ends, "along": measured.along}
    findings = {name: finding for name, finding in named.items() if finding is not None}
    return kaibo.Results(findings, tuple(outcomes), sentences(measured))


def inside(published: Mapping[str, float]) -> bool:
    """Whether every published MAE lies where rescalings alone can bring Gaussian weights."""
    return all(GAUSSIAN[0] <= mae <= GAUSSIAN[1] for mae in published.values())


def of_models(finding: Any | None) -> list[kaibo.Outcome]:
    """The source's own models, where they were given: MAE, digits above the law, shares."""
    out: list[kaibo.Outcome] = []
    for row in finding.rows if finding is not None else ():
        short = NAMES.get(row.model.rstrip("/").rpartition("/")[2])
        if short is None:
            continue
        out.append(kaibo.Outcome(f"{short}.mae", row.mae, row.mae_low, row.mae_high, n=row.n))
        out.append(kaibo.Outcome(f"{short}.follows", row.mae < row.gaussian_mae, n=row.n))
        out += [kaibo.Outcome(f"{short}.share{digit}", share, n=row.n) for digit, share in enumerate(row.shares, 1)]
    return out


def sentences(measured: Measured) -> tuple[tuple[str, dict[str, Any]], ...]:
    """What five models can show, and what members of a family answer."""
    row = measured.reported.rows[0]
    seen = {"n": row.n, "r": row.pearson, "low": row.low, "high": row.high, "needed": row.needed}
    open_ones = open_questions(measured) if measured.ends is not None else ()
    return (("correlation", seen), ("range", {"low": GAUSSIAN[0], "high": GAUSSIAN[1]}), *open_ones)


def open_questions(measured: Measured) -> list[tuple[str, dict[str, Any]]]:
    """Optimiser, language and fine-tuning: the MAE of the members that differ in it."""
    mae = {row.model: row.mae for row in measured.ends.rows} if measured.ends is not None else {}
    out = []
    for key, place in (("optimiser", "variant"), ("data", "variant"), ("kind", "child")):
        found = {str(one[key]): mae[one["address"]] for one in measured.members if chosen(one, (place,), mae)}
        if len(found) > 1:
            shown = ", ".join(f"{name} {value:.4f}" for name, value in sorted(found.items()))
            out.append((f"by_{key}", {"shown": shown}))
    return out


def chosen(member: Mapping[str, Any], places: Sequence[str], mae: Mapping[str, float]) -> bool:
    """Whether a member is the end of a run of one of these places, and its digits were counted."""
    return bool(member.get("last")) and member.get("place") in places and member["address"] in mae


study = kaibo.Study("benford", measure, analyse)
