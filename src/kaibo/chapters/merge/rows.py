"""The columns of its findings; field names are the names that `--json` prints."""

from __future__ import annotations

from dataclasses import dataclass, field

from kaibo.vocabulary import By
from kaibo.vocabulary.kinds import Drawing, Kind


@dataclass(frozen=True)
class ConflictRow:
    """How the trimmed task vectors agree in a whole merge, a layer, a role, a tensor or a role in a layer.

    Of `n` positions `touched` have an entry of at least one task vector after trimming; `conflict` is the share of
    those that have entries of both signs, `tied_votes` the share where the vote was zero. `kept` is the share of the
    entries of all task vectors that survive trimming, `elected` the share of those that have the sign that won;
    `kept_each` and `elected_each` are the same for each tuned model in order. `nonfinite` counts the entries of all
    task vectors that are NaN or infinite and go into the merge as such.
    """

    by: By | str
    key: str | int | None
    layer: int | None
    role: str | None
    n: int
    touched: int
    conflict: float
    tied_votes: float
    kept: float
    elected: float
    kept_each: tuple[float, ...]
    elected_each: tuple[float, ...]
    nonfinite: int = 0
    why: dict[str, str] = field(default_factory=dict)


CONFLICTS = Kind(
    "conflicts",
    ConflictRow,
    __package__,
    columns=(
        "by",
        "key",
        "n",
        "touched",
        "conflict",
        "tied_votes",
        "kept",
        "elected",
    ),
    figures={"survival": Drawing("survival", "merge.survival_title", "merge.survival_caption")},
)
CONFLICT_MAP = Kind(
    "conflict-map",
    ConflictRow,
    __package__,
    columns=(
        "layer",
        "role",
        "n",
        "touched",
        "conflict",
        "tied_votes",
        "kept",
        "elected",
    ),
    figures={"conflict": Drawing("conflict_map", "merge.map_title", "merge.map_caption")},
)
