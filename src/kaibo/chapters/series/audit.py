"""What is not as a run leaves it: repeated contents, steps, order, jumps, other types; each with its evidence."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from kaibo.chapters.series.rows import AuditRow
from kaibo.chapters.series.rules import Jump, gaps
from kaibo.vocabulary.series import CheckpointFacts, ConfigChange, Unreadable
from kaibo.words import note


@dataclass(frozen=True)
class Path:
    """The places of the checkpoints that differ from one another, in order, and what the others repeat."""

    places: tuple[int, ...]
    repeats: Mapping[int, int]


@dataclass(frozen=True)
class Judged:
    """What the rules say of the distances along a path, all by places on it."""

    distances: Mapping[tuple[int, int], float]
    order: Sequence[int]
    jumps: Sequence[Jump]
    spread: float


def path_of(facts: Sequence[CheckpointFacts]) -> Path:
    """Each content once: the first of equal checkpoints, the last of those that equal the end of the series."""
    places: dict[str, int] = {}
    for place, one in enumerate(facts):
        places.setdefault(one.model_id, place)
    if facts:
        same = [place for place, one in enumerate(facts) if one.model_id == facts[-1].model_id]
        stepped = [place for place in same if facts[place].step is not None]
        places[facts[-1].model_id] = max(stepped or same)
    chosen = tuple(sorted(places.values()))
    return Path(chosen, {at: places[one.model_id] for at, one in enumerate(facts) if places[one.model_id] != at})


def audit(
    facts: Sequence[CheckpointFacts],
    unreadable: Sequence[Unreadable],
    changes: Sequence[ConfigChange],
    path: Path,
    judged: Judged,
) -> tuple[AuditRow, ...]:
    """Everything that the audit finds, identities first."""
    apart = [jump for jump in judged.jumps if not {jump.at - 1, jump.at, jump.at + 1} & set(judged.order)]
    return (
        *(AuditRow("unreadable", (one.name,), one.why) for one in unreadable),
        *_identity(facts, path),
        *_same_values(facts, path, judged.distances),
        *_steps(facts, unreadable),
        *_order(facts, path, judged.order, judged.distances),
        *_jumps(facts, path, apart, judged.spread),
        *_kinds(facts, changes),
    )


def audit_published(facts: Sequence[CheckpointFacts], unreadable: Sequence[Unreadable]) -> tuple[AuditRow, ...]:
    """What hashes and names alone say of one run: repeated contents and steps, and steps that are missing."""
    lost = (AuditRow("unreadable", (one.name,), one.why) for one in unreadable)
    return (*lost, *_identity(facts, path_of(facts)), *_steps(facts, unreadable))


def audit_beside(runs: Mapping[str, Sequence[CheckpointFacts]]) -> Iterator[AuditRow]:
    """What several runs say of each other: contents of one in another, and steps that the others have."""
    holders: dict[str, dict[str, str]] = {}
    for run, facts in runs.items():
        for one in facts:
            holders.setdefault(one.model_id, {}).setdefault(run, one.name)
    for content, names in holders.items():
        if len(names) > 1:
            yield AuditRow(
                "same-content", tuple(names.values()), note("audit_same_content", content=content, count=len(names))
            )
    steps = {run: {one.step for one in facts if one.step is not None} for run, facts in runs.items()}
    shared = set.union(*steps.values()) if len(steps) > 1 and set.intersection(*steps.values()) else set()
    for run, has in steps.items():
        if lacking := sorted(shared - has):
            text = note("audit_missing_beside", steps=_listed([str(step) for step in lacking], 8), count=len(lacking))
            yield AuditRow("missing-step", (run,), text)


def _names(facts: Sequence[CheckpointFacts], places: Sequence[int]) -> tuple[str, ...]:
    return tuple(facts[place].name for place in places)


def _identity(facts: Sequence[CheckpointFacts], path: Path) -> Iterator[AuditRow]:
    """Same content under several names. `main` that equals the last numbered checkpoint is as it should be."""
    groups: dict[int, list[int]] = {}
    for place, kept in path.repeats.items():
        groups.setdefault(kept, []).append(place)
    final = path.places[-1] if path.places else -1
    for kept, places in groups.items():
        last = kept == final and facts[kept].model_id == facts[-1].model_id
        early = [place for place in places if not (last and facts[place].step is None and place > kept)]
        if early and last:
            end = facts[kept].name
            counts = {"count": len(early), "total": len(facts)}
            text = note("audit_equals_last", **counts, end=end, content=facts[kept].model_id)
            yield AuditRow("equals-last", (*_names(facts, early), end), text)
        elif early:
            both = sorted([kept, *early])
            text = note("audit_same_content", content=facts[kept].model_id, count=len(both))
            yield AuditRow("same-content", _names(facts, both), text)


def _same_values(
    facts: Sequence[CheckpointFacts], path: Path, local: Mapping[tuple[int, int], float]
) -> Iterator[AuditRow]:
    """Neighbours of different content whose weights are equal: saved again in another type, for instance."""
    for at in range(len(path.places) - 1):
        if local.get((at, at + 1)) == 0.0:
            text = note("audit_same_values")
            yield AuditRow("same-content", _names(facts, path.places[at : at + 2]), text)


def _steps(facts: Sequence[CheckpointFacts], unreadable: Sequence[Unreadable]) -> Iterator[AuditRow]:
    stepped: dict[int, list[str]] = {}
    named = [(one.step, one.name) for one in facts] + [(one.step, one.name) for one in unreadable]
    for step, name in named:
        if step is not None:
            stepped.setdefault(step, []).append(name)
    for step, names in stepped.items():
        if len(names) > 1:
            yield AuditRow("same-step", tuple(names), note("audit_same_step", count=len(names), step=step))
    for one in facts:
        if one.step is not None and one.saved_step is not None and one.saved_step != one.step:
            text = note("audit_other_step", step=one.step, saved=one.saved_step)
            yield AuditRow("other-step", (one.name,), text)
    for gap in gaps(sorted(stepped)):
        listed = ", ".join(map(str, gap.missing[:8])) + (f" … ({len(gap.missing):,})" if len(gap.missing) > 8 else "")
        ends = {"before": gap.after, "after": gap.before}
        text = note("audit_missing", steps=listed, **ends, rule=gap.rule, times=f"{gap.times:.3g}")
        yield AuditRow("missing-step", (*stepped[gap.after], *stepped[gap.before]), text)


def _order(
    facts: Sequence[CheckpointFacts], path: Path, order: Sequence[int], local: Mapping[tuple[int, int], float]
) -> Iterator[AuditRow]:
    for at in order:
        pair = _names(facts, path.places[at : at + 2])
        if (at - 1, at) in local:
            outer, near, far = at - 1, local[at - 1, at + 1], local[at - 1, at]
        else:
            outer, near, far = at + 2, local[at, at + 2], local[at + 1, at + 2]
        name = facts[path.places[outer]].name
        text = note("audit_order", name=name, near=f"{near:.4g}", far=f"{far:.4g}")
        yield AuditRow("out-of-order", pair, text)


def _jumps(facts: Sequence[CheckpointFacts], path: Path, found: Sequence[Jump], spread: float) -> Iterator[AuditRow]:
    for jump in found:
        pair = _names(facts, path.places[jump.at : jump.at + 2])
        factor = jump.factor
        key, times = ("audit_longer", factor) if factor > 1 else ("audit_shorter", 1 / factor)
        text = note(key, times=f"{times:.3g}", scatter=f"{math.exp(spread):.3g}")
        yield AuditRow("jump", pair, text)


def _kinds(facts: Sequence[CheckpointFacts], changes: Sequence[ConfigChange]) -> Iterator[AuditRow]:
    for before, after in pairwise(facts):
        both = before.name, after.name
        shared = before.shapes.keys() & after.shapes.keys()
        lone = before.shapes.keys() ^ after.shapes.keys()
        shaped = sorted(name for name in shared if before.shapes[name] != after.shapes[name])
        if lone or shaped:
            listed = _listed([*sorted(lone), *shaped])
            yield AuditRow(
                "tensor-change",
                both,
                note("audit_tensors", lone=len(lone), shaped=len(shaped), names=listed),
            )
        typed = sorted(name for name in shared if before.dtypes.get(name) != after.dtypes.get(name))
        if typed:
            kinds = f"{before.dtypes[typed[0]]} to {after.dtypes[typed[0]]}"
            yield AuditRow(
                "dtype-change", both, note("audit_types", count=len(typed), kinds=kinds, names=_listed(typed))
            )
    for change in changes:
        text = note("audit_config", what=change.what, old=change.old, new=change.new)
        yield AuditRow("config-change", (change.before, change.after), text)
    for one in facts:
        if one.nonfinite:
            yield AuditRow("nonfinite", (one.name,), note("audit_nonfinite", count=one.nonfinite))


def _listed(names: Sequence[str], most: int = 3) -> str:
    return ", ".join(names[:most]) + (" …" if len(names) > most else "")
