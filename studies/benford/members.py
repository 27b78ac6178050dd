"""The members of a family that answer what the source left open: who is compared with whom, and in what."""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import kaibo

Member = Mapping[str, Any]

COMPARED = {"optimiser": "variant", "data": "variant"}
"""In what the variants of the smallest size differ."""


def own(members: Sequence[Member]) -> list[Member]:
    """Members that hold all their weights."""
    return [one for one in members if one.get("place") not in ("adapter", None)]


def largest_end(members: Sequence[Member]) -> Member | None:
    """The end of the family's largest run."""
    ends = [one for one in members if one.get("place") == "family" and one.get("last")]
    return max(ends, key=lambda one: int(one["size"]), default=None)


def along(members: Sequence[Member]) -> list[kaibo.questions.Grouped]:
    """Every checkpoint of the family, by run and step."""
    family = sorted(
        (one for one in members if one.get("place") == "family"), key=lambda one: (one["size"], one["step"])
    )
    return [kaibo.questions.Grouped(one["address"], "family", one["run"], step=int(one["step"])) for one in family]


def groups(members: Sequence[Member]) -> list[kaibo.questions.Grouped]:
    """Variants by optimiser and by language; a base, what was fine-tuned from it, and what the fine-tuning added."""
    ends = [one for one in members if one.get("last")]
    out: list[kaibo.questions.Grouped] = []
    for key, place in COMPARED.items():
        rest = next(other for other in COMPARED if other != key)
        usual = {"optimiser": "adamw", "data": "mixed"}[rest]
        found = [one for one in ends if one.get("place") == place and one.get(rest) == usual]
        if len(found) > 1:
            out += [kaibo.questions.Grouped(one["address"], key, str(one[key])) for one in found]
    return out + fine_tuned(members)


def fine_tuned(members: Sequence[Member]) -> list[kaibo.questions.Grouped]:
    """The children of one parent, at their largest learning rate and first seed, and their differences from it."""
    named = {one["name"]: one for one in members if "name" in one}
    children = [one for one in members if one.get("place") == "child" and one.get("parent") in named]
    if not children:
        return []
    rate = max(float(one["learning_rate"]) for one in children)
    seed = children[0]["seed"]
    chosen = [one for one in children if float(one["learning_rate"]) == rate and one["seed"] == seed]
    first = {one["parent"]: named[one["parent"]] for one in chosen if named[one["parent"]].get("kind") == "pretrain"}
    out = [kaibo.questions.Grouped(one["address"], "kind", str(one["name"])) for one in first.values()]
    out += [kaibo.questions.Grouped(one["address"], "kind", str(one["name"])) for one in chosen]
    added = [
        kaibo.questions.Grouped(one["address"], "added", str(one["name"]), base=named[one["parent"]]["address"])
        for one in chosen
    ]
    return out + added


def beside_score(digits: Any, scores: Any) -> Any:
    """MAE of the ends of pre-training runs against bits per byte, which models of any tokenizer share."""
    bits = {row.model: row.bits_per_byte for row in scores.rows}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "members.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file)
            table.writerow(["model", "MAE", "bits per byte"])
            table.writerows(
                [row.label, repr(row.mae), repr(bits[row.model])] for row in digits.rows if row.model in bits
            )
        return kaibo.correlate(f"{path}:MAE", f"{path}:bits per byte")
