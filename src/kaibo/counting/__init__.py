"""The hot kernels: a tensor's stored bits come in, its census and the hashes of its blocks come out."""

from kaibo.counting.counting import BLOCK, Part, Workspace, content_hash, count_span, hash_span, merged, spans
from kaibo.counting.grouped import Groups, count_groups
from kaibo.counting.joint import (
    crossed_of,
    crossed_with_itself,
    crossed_with_nothing,
    identical_joint,
    joint_of,
    no_difference,
    signs_alone,
)
from kaibo.counting.lanes import LanePart, LaneWorkspace, PairPart, Wanted, count_lane, count_pair, lane_spans
from kaibo.counting.resolving import position_after, resolve

__all__ = [
    "BLOCK",
    "Groups",
    "LanePart",
    "LaneWorkspace",
    "PairPart",
    "Part",
    "Wanted",
    "Workspace",
    "content_hash",
    "count_groups",
    "count_lane",
    "count_pair",
    "count_span",
    "crossed_of",
    "crossed_with_itself",
    "crossed_with_nothing",
    "hash_span",
    "identical_joint",
    "joint_of",
    "lane_spans",
    "merged",
    "no_difference",
    "position_after",
    "resolve",
    "signs_alone",
    "spans",
]
