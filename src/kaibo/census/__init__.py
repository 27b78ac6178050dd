"""The hot kernels: a tensor's stored bits come in, its census and the hashes of its blocks come out."""

from kaibo.census.counting import BLOCK, Part, Workspace, content_hash, count_span, merged, spans
from kaibo.census.grouped import Groups, count_groups
from kaibo.census.joint import (
    PairPart,
    PairWorkspace,
    count_pair,
    identical_joint,
    merged_pair,
    merged_sides,
    no_difference,
    pair_spans,
)
from kaibo.census.resolving import position_after, resolve

__all__ = [
    "BLOCK",
    "Groups",
    "PairPart",
    "PairWorkspace",
    "Part",
    "Workspace",
    "content_hash",
    "count_groups",
    "count_pair",
    "count_span",
    "identical_joint",
    "merged",
    "merged_pair",
    "merged_sides",
    "no_difference",
    "pair_spans",
    "position_after",
    "resolve",
    "spans",
]
