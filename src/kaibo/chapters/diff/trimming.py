"""What trimming keeps of a task vector, tensor by tensor, from its censuses: thresholds, and quotas of ties."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kaibo.chapters.diff.largest import Sizes, holds, placed, refined, sizes_of
from kaibo.vocabulary import Row
from kaibo.vocabulary.counts.resolved import ByContent, added, upper_half
from kaibo.vocabulary.merging import Recipe


@dataclass(frozen=True)
class Quota:
    """What is kept in one tensor: all |Δ| above `threshold`, and the first `taken` of the `held` that equal it."""

    threshold: float
    taken: int
    held: int


def wanted_bins(rows: Sequence[Row], density: float, recipe: Recipe) -> dict[str, set[int]]:
    """The upper halves that must be resolved in each content before `quotas` can be told. One task vector's rows."""
    wanted: dict[str, set[int]] = {}
    for members in _together(rows, density, recipe):
        sizes = sizes_of(members)
        kept = kept_of(sizes, density, recipe)
        place = placed(sizes, kept)[0] if kept else 0
        if kept and sizes.low[place] != sizes.high[place]:
            upper = upper_half(sizes.low[place])
            for row in members:
                if row.census is not None and holds(row.census, upper):
                    wanted.setdefault(row.content, set()).add(upper)
    return wanted


def quotas(rows: Sequence[Row], density: float, recipe: Recipe, known: ByContent) -> dict[str, Quota]:
    """What is kept of each tensor, by its name. `known` holds what `wanted_bins` asked for."""
    found: dict[str, Quota] = {}
    for members in _together(rows, density, recipe):
        sizes = sizes_of(members)
        kept = kept_of(sizes, density, recipe)
        if not kept:
            found |= {row.tensor: Quota(float("inf"), 0, 0) for row in members}
            continue
        sizes = _resolved(sizes, members, placed(sizes, kept)[0], known)
        place, before = placed(sizes, kept)
        left = kept - before if recipe.ties == "exact" else int(sizes.counts[place])
        for row, held in zip(members, _holding(members, sizes.low[place], known), strict=True):
            found[row.tensor] = Quota(float(sizes.low[place]), min(held, left), held)
            left -= min(held, left)
    return found


def kept_of(sizes: Sizes, density: float, recipe: Recipe) -> int:
    """How many values are kept, ties at the threshold counted as the recipe says, before all ties are added."""
    d = sizes.d
    asked = max(min(recipe.least, d), int(d * density))  # int(d * K): as the paper's code, PEFT and mergekit
    if recipe.ties == "exact":
        return min(asked, int(sizes.counts[sizes.high > 0].sum()))
    return min(d, asked + 1) if asked < d else d


def _together(rows: Sequence[Row], density: float, recipe: Recipe) -> Iterator[list[Row]]:
    """The rows that share a threshold."""
    measured = [row for row in rows if row.census is not None]
    if density >= 1 or not measured:
        return
    if recipe.scope == "global":
        yield measured
    else:
        yield from ([row] for row in measured)


def _resolved(sizes: Sizes, members: Sequence[Row], place: int, known: ByContent) -> Sizes:
    if sizes.low[place] == sizes.high[place]:
        return sizes
    upper = upper_half(sizes.low[place])
    parts = [known[row.content, upper] for row in members if row.census is not None and holds(row.census, upper)]
    return refined(sizes, added(parts))


def _holding(members: Sequence[Row], threshold: float, known: ByContent) -> Iterator[int]:
    """How many values of each row equal the threshold."""
    upper = upper_half(threshold)
    for row in members:
        resolved = known.get((row.content, upper))
        if resolved is not None:
            yield int(resolved.counts[resolved.magnitudes == threshold].sum())
            continue
        sizes = sizes_of([row])
        yield int(sizes.counts[(sizes.low == threshold) & (sizes.high == threshold)].sum())
