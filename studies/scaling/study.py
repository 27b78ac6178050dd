"""How many abilities does a leaderboard measure? Components of score tables, what they go with, what they foretell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import kaibo

from .components import ENGLISH, JAPANESE, SHIPPED, SHIPPED_JAPANESE, components, first_share, given, outcomes_of
from .flops import Line, line
from .prediction import forecasts, laws, selection, told

ENGLISH_AND_JAPANESE = ((SHIPPED, SHIPPED_JAPANESE), (ENGLISH, JAPANESE))


@dataclass(frozen=True)
class Measured:
    """Components by table; the line of the Llama rows; laws by target; forecasts; whom to run."""

    components: dict[str, Any]
    line: Line | None
    laws: dict[str, Any]
    forecasts: Any
    selection: Any
    chosen_from: str = SHIPPED


def measure(inputs: kaibo.Inputs) -> Measured:
    """Takes the tables that ship apart, and every table given."""
    tables = given(inputs)
    found = components(tables, inputs)
    return Measured(
        found, line(found[SHIPPED].rows[0]), laws(tables, inputs), forecasts(inputs), selection(tables, inputs),
        ENGLISH if ENGLISH in tables else SHIPPED,
    )  # fmt: skip


def analyse(measured: Measured) -> kaibo.Results:
    """Explained shares, signs and slopes as outcomes; components, laws, forecasts and the choice as findings."""
    outcomes = [one for name, finding in measured.components.items() for one in outcomes_of(name, finding.rows[0])]
    if measured.line is not None:
        outcomes.append(kaibo.Outcome("llama-flops", measured.line.exact, n=measured.line.n))
    findings = {
        "tables": kaibo.questions.tables_beside(measured.components),
        **measured.components,
        **measured.laws,
        "forecast": measured.forecasts,
        "select": measured.selection,
    }
    return kaibo.Results(findings, tuple(outcomes), sentences(measured), cover="tables")


def sentences(measured: Measured) -> tuple[tuple[str, dict[str, Any]], ...]:
    """English beside Japanese, the line on compute, every other table, then laws, forecasts and the choice."""
    rows = {name: finding.rows[0] for name, finding in measured.components.items()}
    pairs = [
        (first, rows[first], rows[second]) for first, second in ENGLISH_AND_JAPANESE if {first, second} <= set(rows)
    ]
    beside = [
        said
        for first, one, two in pairs[::-1]
        for said in ((f"beside_{first}", {**facts(first, one), **other(two)}), (apart(one, two), {}))
    ]
    paired = {name for pair in ENGLISH_AND_JAPANESE for name in pair if all(one in rows for one in pair)}
    llama = [("line", vars(measured.line))] if measured.line else []
    alone = [("table", facts(name, row)) for name, row in rows.items() if name not in paired]
    return (*beside, *llama, *predicted(measured), *alone)


def predicted(measured: Measured) -> list[tuple[str, dict[str, Any]]]:
    """What laws, forecasts and the choice of models come to."""
    said = [told(name, finding) for name, finding in measured.laws.items()]
    new = measured.forecasts.rows[0]
    outside = [row.model for row in measured.forecasts.rows if row.extrapolated]
    said.append(("forecast", {"model": new.model, "value": new.value, "low": new.low, "high": new.high}))
    said += [("outside", {"models": ", ".join(outside)})] if outside else []
    first = measured.selection.rows[0]
    names = ", ".join(first.families)
    return [*said, ("select", {"budget": first.budget, "families": names, "all": all_models(measured)})]


def all_models(measured: Measured) -> int:
    """How many models the table has from which is chosen."""
    return len(measured.components[measured.chosen_from].rows[0].models)


def facts(name: str, row: Any) -> dict[str, Any]:
    """What the sentence about a table says."""
    return {
        "name": name,
        "models": len(row.models),
        "benchmarks": len(row.benchmarks),
        "first": row.explained[0],
        "low": first_share(row)[0],
        "high": first_share(row)[1],
        "three": sum(row.explained[:3]),
        "kept": row.kept_components,
    }


def apart(english: Any, japanese: Any) -> str:
    """Whether the intervals of the two first components leave room for the same share."""
    (low, high), (other_low, other_high) = first_share(english), first_share(japanese)
    return "english_more" if low > other_high else "japanese_more" if other_low > high else "alike"


def other(row: Any) -> dict[str, Any]:
    """The same of the table beside it, under names of its own."""
    return {f"other_{key}": value for key, value in facts("", row).items()}


study = kaibo.Study("scaling", measure, analyse)
