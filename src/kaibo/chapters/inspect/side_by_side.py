"""Architectures side by side: what parameters are for, what a token leaves, what fits a card, how far they read."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from kaibo.chapters.inspect.rows import (
    ANATOMY,
    ANATOMY_CACHE,
    ANATOMY_MEMORY,
    ANATOMY_REACH,
    ANATOMY_ROLES,
    CacheRow,
    MemoryRow,
    ReachRow,
    RoleShare,
)
from kaibo.version import __version__
from kaibo.vocabulary import Architecture, Finding
from kaibo.words import note

BITS = (32, 16, 8, 4)
GROUPS = ("embedding", "attention", "mlp", "norm", "head", "other")
"""What roles are gathered under, in the order in which a token meets them."""

CARD = 80_000_000_000
"""Bytes of a card of 80 GB."""

EXTENDED = 131_072
"""The 128k tokens to which YaRN was shown to extend Llama 2 (Peng et al. 2023, arXiv 2309.00071)."""


@dataclass(frozen=True)
class SideBySide:
    """Four views of the same architectures, and the architectures themselves as a table to be read."""

    table: Finding[Architecture]
    roles: Finding[RoleShare]
    cache: Finding[CacheRow]
    memory: Finding[MemoryRow]
    reach: Finding[ReachRow]


def side_by_side(models: Iterable[Architecture], *, card: int = CARD, extended: int = EXTENDED) -> SideBySide:
    """The four views of architectures; a model whose config does not say what a view needs is left out of it."""
    known = list(models)
    provenance = {"kaibo": __version__, "models": {row.model: None for row in known}}
    return SideBySide(
        Finding(ANATOMY, tuple(known), (), provenance),
        Finding(ANATOMY_ROLES, tuple(one for row in known for one in _roles(row)), (), provenance),
        Finding(ANATOMY_CACHE, tuple(one for row in known for one in _cache(row)), (), provenance),
        Finding(ANATOMY_MEMORY, tuple(one for row in known for one in _memory(row, card)), (CODES,), provenance),
        Finding(ANATOMY_REACH, tuple(one for row in known for one in _reach(row, extended)), (), provenance),
    )


CODES = note("codes_alone")


def _roles(row: Architecture) -> list[RoleShare]:
    counts = dict.fromkeys(GROUPS, 0)
    for role, count in row.parameters_by_role.items():
        group = role.partition(".")[0]
        counts[group if group in counts else "other"] += count
    total = sum(counts.values())
    return [RoleShare(row.model, group, count, count / total) for group, count in counts.items() if count]


def _cache(row: Architecture) -> list[CacheRow]:
    if not row.kv_bytes_per_token or not row.heads or not row.kv_heads:
        return []
    times = row.heads / row.kv_heads
    full = None if row.context is None else row.kv_bytes(row.context)
    spread = (row.kv_bytes_per_token * row.heads // row.kv_heads, times, row.context, full)
    ungrouped_full = None if full is None else full * row.heads // row.kv_heads
    said = (row.model, row.attention or "", row.heads, row.kv_heads, row.kv_bytes_per_token)
    return [CacheRow(*said, *spread, ungrouped_full)]


def _memory(row: Architecture, card: int) -> list[MemoryRow]:
    cache = None if row.context is None else row.kv_bytes(row.context)
    return [
        MemoryRow(
            *(row.model, bits, weights, card, weights <= card),
            with_cache=None if cache is None else weights + cache,
            fits_with_cache=None if cache is None else weights + cache <= card,
        )
        for bits in BITS
        if (weights := row.weights_bytes.get(str(bits))) is not None
    ]


def _reach(row: Architecture, extended: int) -> list[ReachRow]:
    if not row.context:
        return []
    base, places = row.positions.base, row.positions
    turned = (row.head_size or 0) * (places.share or 0.0)
    slowest = 2 * math.pi * base ** (1 - 2 / turned) if base and turned >= 2 else None
    factor = max(extended / row.context, 1.0)
    seen = (row.context, row.window, row.windowed_layers, base, places.scaling, slowest)
    return [ReachRow(row.model, *seen, extended, factor, row.kv_bytes(extended))]
