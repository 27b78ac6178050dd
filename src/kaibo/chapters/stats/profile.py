"""How σ, kurtosis and the digits run through the depth of a model, role by role."""

from __future__ import annotations

import math
from collections.abc import Sequence

from kaibo.chapters.census import moments
from kaibo.chapters.census.groups import Group, groups
from kaibo.chapters.census.provenance import provenance
from kaibo.chapters.digits.benford import mean_absolute_error
from kaibo.chapters.stats.rows import PROFILE, ProfileRow
from kaibo.vocabulary import Finding, Row, sums
from kaibo.vocabulary.counts.points import digit_counts


def profile(rows: Sequence[Row]) -> Finding[ProfileRow]:
    """One row for each role in each layer, by depth."""
    found = [
        _profile_row(group, cell)
        for group in groups([row for row in rows if row.layer is not None], "layer")
        for cell in groups(group.rows, "role")
    ]
    return Finding(PROFILE, tuple(found), (), provenance(rows))


def _profile_row(layer: Group, role: Group) -> ProfileRow:
    assert isinstance(layer.key, int), "only tensors inside layers have a place in the depth"
    censuses = role.censuses()
    found = sums(censuses)
    mean = found.signed / found.finite if found.finite else math.nan
    shape = moments.shape(moments.bins(censuses), mean, found.variance, found.finite)
    counts = sum(digit_counts(census)[1:] for census in censuses)
    nonzero = counts.sum()  # type: ignore[union-attr]
    return ProfileRow(
        model=layer.model,
        layer=layer.key,
        role=str(role.key),
        n=sum(census.n for census in censuses),
        std=math.sqrt(found.variance),
        kurtosis=shape.kurtosis,
        mae=float(mean_absolute_error(counts / nonzero)) if nonzero else math.nan,
    )
