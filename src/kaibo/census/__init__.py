"""The hot kernels: a tensor's stored bits come in, its census and the hashes of its blocks come out."""

from kaibo.census.counting import BLOCK, Part, Workspace, content_hash, count_span, merged, spans
from kaibo.census.grouped import Groups, count_groups

__all__ = ["BLOCK", "Groups", "Part", "Workspace", "content_hash", "count_groups", "count_span", "merged", "spans"]
