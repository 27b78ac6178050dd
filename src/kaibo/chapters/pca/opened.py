"""The components of a score table as a page tables them: a row for each, its share beside its interval and its null."""

from __future__ import annotations

import math
from dataclasses import dataclass

from kaibo.chapters.pca.components import ComponentsRow
from kaibo.vocabulary import Finding
from kaibo.vocabulary.kinds import Kind


@dataclass(frozen=True)
class ComponentLine:
    """A component of a score table: its share of the variance, the interval, and what permuted columns reach."""

    component: str
    explained: float
    explained_low: float | None
    explained_high: float | None
    parallel: float


PCA_COMPONENTS = Kind("pca-components", ComponentLine, __package__)


def opened(finding: Finding[ComponentsRow]) -> tuple[Finding[ComponentLine], ...]:
    """A row for each component of the first table."""
    row = finding.rows[0]
    bounds = [(None, None) if math.isnan(low) else (low, high) for low, high in row.explained_interval]
    rows = tuple(
        ComponentLine(f"PC{place + 1}", share, bounds[place][0], bounds[place][1], row.parallel[place])
        for place, share in enumerate(row.explained)
    )
    return (Finding(PCA_COMPONENTS, rows, finding.notes, finding.provenance),)
