"""What do SFT and DPO change, and is that stable across seeds? Norms of task vectors, and published norms judged."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import kaibo

from . import published

MOVES = 0.25
"""The distance between two data sets moves with the seed where it differs by more than this share of its mean."""


@dataclass(frozen=True)
class Measured:
    """The published rows, ways that make such rows, and the fine-tunes of the models given side by side."""

    published: Any
    ways: Mapping[str, Any]
    tuned: tuple[kaibo.questions.FineTune, ...]
    found: Any
    scale: str


def measure(inputs: kaibo.Inputs) -> Measured:
    """Judges the published norms, and compares the children of one base by method and learning rate."""
    rows = published.judged()
    children = [one for one in inputs.members if one.get("kind") in ("sft", "dpo") and one.get("place") != "adapter"]
    tuned = fine_tunes(children, inputs.members)
    direct = [one for one in children if any(each.address == one["address"] and not each.after for each in tuned)]
    found = kaibo.questions.fine_tunes(tuned, settings=inputs.settings) if tuned else None
    size = max((int(one.get("size", 0)) for one in children), default=0)
    scale = "published" if size == published.PARAMETERS else "nursery"
    return Measured(rows, published.ways(direct, rows, inputs.settings), tuned, found, scale)


def fine_tunes(
    children: Sequence[Mapping[str, Any]], members: Sequence[Mapping[str, Any]]
) -> tuple[kaibo.questions.FineTune, ...]:
    """The fine-tunes of the base that has most of them, also those on top of a fine-tune of it."""
    by_name = {one["name"]: one for one in members if "name" in one}
    found = []
    for one in children:
        parent = by_name.get(one.get("parent"))
        above = parent if parent is None or parent.get("kind") == "pretrain" else by_name.get(parent.get("parent"))
        if parent is None or above is None or above.get("kind") != "pretrain":
            continue
        after = "" if parent is above else parent["kind"]
        places = one["address"], above["address"], parent["address"]
        labels = one["kind"], float(one["learning_rate"]), str(one["data"]), str(one["seed"])
        found.append(kaibo.questions.FineTune(*places, *labels, after))
    bases = [one.base for one in found]
    return tuple(one for one in found if one.base == max(bases, key=bases.count))


def analyse(measured: Measured) -> kaibo.Results:
    """Which published rows can be norms; what the fine-tunes of the models given changed, side by side."""
    rows, found = measured.published.rows, measured.found
    findings: dict[str, Any] = {"published": measured.published, **measured.ways}
    if found is not None:
        names = ("norms", "pairs", "ratios", "methods", "kept", "map", "ranks")
        findings |= {name: getattr(found, name) for name in names}
    return kaibo.Results(
        findings, tuple(published.outcomes(rows)), (*published.sentences(rows, measured.ways), *sentences(measured))
    )


def spreads(measured: Measured) -> dict[str, dict[float, float]]:
    """Of each method from the base, by learning rate: how the distance between data sets differs from seed to seed."""
    out: dict[str, dict[float, float]] = {}
    cells = {one.cell: one for one in measured.tuned if not one.after}
    for row in measured.found.ratios.rows if measured.found is not None else ():
        if row.role == "all" and row.distance_norm == "l2" and row.spread is not None and row.cell in cells:
            one = cells[row.cell]
            out.setdefault(one.method, {})[one.learning_rate] = row.spread
    return out


def sentences(measured: Measured) -> list[tuple[str, dict[str, Any]]]:
    """What stands out among the fine-tunes of the models given."""
    if measured.found is None:
        return []
    said: list[tuple[str, dict[str, Any]]] = []
    whole = [row for row in measured.found.ratios.rows if row.role == "all" and row.distance_norm == "l2"]
    known = [row.ratio for row in whole if row.ratio is not None]
    if known:
        said += [("ratio", {"low": min(known), "high": max(known)}), tested(whole, measured.tuned)]
    moved = [one for by_rate in spreads(measured).values() for one in by_rate.values()]
    if moved:
        said.append(("spread", {"most": max(moved)}))
    said += [("directions", values) for values in directions(measured)]
    if measured.scale == "nursery" and any(one.method == "dpo" for one in measured.tuned):
        said.append(("mirrored", {}))
    lost = [row for row in measured.found.norms.rows if row.against == "base"]
    below = [row for row in lost if row.times_bf16 is not None and row.times_bf16 < 1]
    if lost:
        said.append(("rounding", {"count": len(below), "all": len(lost)}))
    return said + compared(measured.found.methods.rows)


def tested(rows: Sequence[Any], tuned: Sequence[kaibo.questions.FineTune]) -> tuple[str, dict[str, Any]]:
    """What the permutations over models say of the ratios: nothing, where so few seeds cannot reach 0.05."""
    known = [row for row in rows if row.p is not None and row.p_least is not None]
    least = min((row.p_least for row in known), default=1.0)
    if least >= 0.05:
        seeds = max(len({one.seed for one in tuned if one.dataset == name}) for name in {one.dataset for one in tuned})
        return "ratio_untested", {"seeds": seeds, "least": least}
    return "ratio_tested", {"p": min(row.p for row in known), "least": least, "cells": len(known)}


def compared(rows: Sequence[Any]) -> list[tuple[str, dict[str, Any]]]:
    """One method against another over all learning rates."""
    found: dict[tuple[str, str], list[Any]] = {}
    for row in rows:
        found.setdefault((row.a, row.b), []).append(row)
    return [("method", {"a": a, "b": b, **ends(several)}) for (a, b), several in found.items()]


def ends(rows: Sequence[Any]) -> dict[str, float]:
    """The least and the greatest ratio and cosine."""
    ratios, cosines = [row.ratio for row in rows], [row.cosine for row in rows]
    return {"low": min(ratios), "high": max(ratios), "least": min(cosines), "most": max(cosines)}


def directions(measured: Measured) -> list[dict[str, Any]]:
    """Of each method from the base: the mean cosine of changes on other data under one seed, and under another seed."""
    methods = {one.cell: one.method for one in measured.tuned if not one.after}
    found: dict[str, dict[str, list[float]]] = {}
    for row in measured.found.pairs.rows:
        if row.cell in methods and row.cosine == row.cosine:
            found.setdefault(methods[row.cell], {}).setdefault(row.apart_by, []).append(row.cosine)
    means = {
        method: {by: math.fsum(cosines) / len(cosines) for by, cosines in kinds.items()}
        for method, kinds in sorted(found.items(), reverse=True)
    }
    return [
        {"method": method.upper(), "data": mean["data"], "seed": mean["seed"]}
        for method, mean in means.items()
        if {"data", "seed"} <= mean.keys()
    ]


study = kaibo.Study("task_vectors", measure, analyse)
