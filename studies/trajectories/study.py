"""How do models learn across scales? Trends of tokens along the checkpoints of a family, and noise at its ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import kaibo

SCALE = "nursery"
"""What is measured here are the members of a small family; the source's claims are about OPT."""


@dataclass(frozen=True)
class Measured:
    """Trends along every run of a family, and the perplexity of its ends on corrupted text; None where not given."""

    trends: Any | None
    corrupted: Any | None
    sizes: dict[str, int]


def measure(inputs: kaibo.Inputs) -> Measured:
    """Scores the texts along the family's checkpoints (what the store knows is not scored again)."""
    family = [one for one in inputs.members if one.get("place") == "family"]
    if not family or not inputs.texts:
        return Measured(None, None, {})
    runs = sorted({str(Path(one["address"]).parent) for one in family}, key=lambda folder: size_of(folder, family))
    ends = sorted((one for one in family if one.get("last")), key=lambda one: int(one["size"]))
    starts = (0.1, 0.5) if inputs.small else (0.1, 0.3, 0.5, 0.7)
    found = kaibo.trends(runs, inputs.texts, asked=kaibo.TrendOptions(starts=starts), settings=inputs.settings)
    shares = kaibo.CorruptSettings(shares=(0.0, 0.4, 1.0) if inputs.small else (0.0, 0.2, 0.4, 0.6, 0.8, 1.0))
    corrupted = kaibo.corrupt([one["address"] for one in ends], inputs.texts, what=shares, settings=inputs.settings)
    return Measured(found, corrupted, {str(one["address"]): int(one["size"]) for one in ends})


def size_of(folder: str, family: list[Mapping[str, Any]]) -> int:
    """How many weights the checkpoints of a folder have."""
    return next(int(one["size"]) for one in family if str(Path(one["address"]).parent) == folder)


def analyse(measured: Measured) -> kaibo.Results:
    """Directions at the family's scale: none of them reproduces a claim about OPT, and the verdicts say so."""
    if measured.trends is None or measured.corrupted is None:
        return kaibo.Results(sentences=(("nothing", {}),))
    found = measured.trends
    outcomes = (*of_shares(found.shares.rows), *of_sets(found), *of_noise(measured))
    findings = {
        "shares": found.shares,
        "followed": found.followed,
        "containment": found.containment,
        "descent": found.descent,
        "size": found.size,
        "corrupted": measured.corrupted,
    }
    kept = {name: finding for name, finding in findings.items() if finding.rows}
    return kaibo.Results(kept, outcomes, sentences(measured))


def of_shares(rows: Any) -> list[kaibo.Outcome]:
    """How the shares of the classes move with the start and with size."""
    by_run: dict[str, list[Any]] = {}
    for row in rows:
        if row.shares.get("stagnated") is not None:
            by_run.setdefault(row.model, []).append(row)
    if not by_run:
        return []
    runs = [sorted(several, key=lambda row: float(row.start)) for several in by_run.values()]
    smallest, largest = runs[0][-1], runs[-1][-1]
    return [
        rises("finished-grows", runs[-1][0], largest),
        rises("larger-faster", smallest, largest),
        holds("moving-falls", all(moving(run[-1]) < moving(run[0]) for run in runs)),
        holds("none-finished", all(run[-1].shares["stagnated"] < 1.0 for run in runs)),
    ]


def rises(name: str, before: Any, after: Any) -> kaibo.Outcome:
    """Whether the share of finished tokens is higher after than before; nothing where the intervals overlap."""
    if after.shares_low["stagnated"] > before.shares_high["stagnated"]:
        return holds(name, True)
    if after.shares_high["stagnated"] < before.shares_low["stagnated"]:
        return holds(name, False)
    why = "the shares of finished tokens have intervals that overlap: too few checkpoints"
    return kaibo.Outcome(name, None, scale=SCALE, why=why)


def moving(row: Any) -> float:
    """The share of tokens that are learned or forgotten."""
    return float(row.shares["upward"] + row.shares["downward"])


def of_sets(found: Any) -> list[kaibo.Outcome]:
    """Whether larger runs contain what smaller ones learned, and whether what rises in small ones falls again."""
    out = []
    order = list(dict.fromkeys(row.model for row in found.shares.rows))
    learned = [row for row in found.containment.rows if row.trend == "downward"]
    up = [row.contained for row in learned if order.index(row.set_of) < order.index(row.inside)]
    down = [row.contained for row in learned if order.index(row.set_of) > order.index(row.inside)]
    if up and down:
        out.append(holds("contained", sum(up) / len(up) > sum(down) / len(down)))
    others = [row for row in found.descent.rows if row.trend == "upward" and not row.own]
    if others:
        out.append(holds("double-descent", any(row.found for row in others)))
    if found.size.rows:
        out.append(holds("perplexity-decides", all(row.gain < 0.01 for row in found.size.rows)))
    return out


def of_noise(measured: Measured) -> list[kaibo.Outcome]:
    """Whether perplexity on random tokens falls with size even where all are random."""
    rows = [row for row in measured.corrupted.rows if row.share == 1.0] if measured.corrupted is not None else []
    ordered = [row.nats / row.tokens for row in sorted(rows, key=lambda row: measured.sizes.get(row.model, 0))]
    return [holds("noise-falls", ordered[-1] < ordered[0])] if len(ordered) > 1 else []


def holds(name: str, value: bool) -> kaibo.Outcome:
    """Whether something holds in the family."""
    return kaibo.Outcome(name, bool(value), scale=SCALE)


def sentences(measured: Measured) -> tuple[tuple[str, dict[str, Any]], ...]:
    """The shares of the largest run, and the floor under random tokens."""
    rows = measured.trends.shares.rows if measured.trends is not None else ()
    largest = [row for row in rows if rows and row.model == rows[-1].model and row.shares.get("downward") is not None]
    seen = [
        ("classes", {"model": row.model, "start": row.start, **{k: v or 0.0 for k, v in row.shares.items()}})
        for row in largest[:1]
    ]
    noise = [row for row in measured.corrupted.rows if row.share == 1.0] if measured.corrupted is not None else []
    floors = [
        ("floor", {"model": row.model.rstrip("/").rpartition("/")[2], "ppl": row.ppl, "floor": row.floor})
        for row in noise[-1:]
        if row.ppl is not None and row.floor is not None
    ]
    return (*seen, *floors)


study = kaibo.Study("trajectories", measure, analyse)
