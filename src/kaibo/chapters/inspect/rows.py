"""The columns of its findings; field names are the names that `--json` prints."""

from __future__ import annotations

from dataclasses import dataclass

from kaibo.vocabulary.architecture import Architecture
from kaibo.vocabulary.kinds import Drawing, Kind


@dataclass(frozen=True)
class RoleShare:
    """The parameters of one group of roles, and their share of the model's."""

    model: str
    group: str
    count: int
    share: float


@dataclass(frozen=True)
class CacheRow:
    """Bytes of keys and values at 16 bit: per token, at full context, and what they were without grouped queries.

    `ungrouped` has a head of keys and values for each head of queries; `saved` is ungrouped ÷ grouped. A windowed
    layer keeps its window only, at full context.
    """

    model: str
    attention: str
    heads: int
    kv_heads: int
    kv_bytes_per_token: int
    ungrouped: int
    saved: float
    context: int | None
    full: int | None
    ungrouped_full: int | None


@dataclass(frozen=True)
class MemoryRow:
    """Bytes of a model's weights at a width, and whether they fit a card: alone, and with one text's cache at 16 bit.

    Codes alone are counted: the scales of a 4-bit format add 3 to 13 % to them, activations are small beside them.
    """

    model: str
    bits: int
    weights: int
    card: int
    fits: bool
    with_cache: int | None
    fits_with_cache: bool | None


@dataclass(frozen=True)
class ReachRow:
    """How far a model reads, what its positions allow, and what it takes to go on to `extended` tokens.

    `rope_base` is the base of the rotary angles, `slowest` how many tokens the slowest pair takes for one turn:
    2π·base^(1−2/d) for d rotated numbers a head. `stretch` is how many times the positions have to be scaled (1 where
    the context is there already), `extended_cache` the bytes of the cache at 16 bit then.
    """

    model: str
    context: int
    window: int | None
    windowed_layers: int
    rope_base: float | None
    scaling: str | None
    slowest: float | None
    extended: int
    stretch: float
    extended_cache: int | None


@dataclass(frozen=True)
class TensorRow:
    """One tensor as its file's header lists it; `begin` and `end` are absolute byte offsets in `file`."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    file: str
    begin: int
    end: int
    layer: int | None
    role: str
    measurable: bool


INSPECT = Kind(
    "inspect",
    Architecture,
    __package__,
    columns=(
        "model",
        "family",
        "parameters",
        "layers",
        "hidden",
        "attention",
        "heads",
        "kv_heads",
        "head_size",
        "context",
        "vocabulary",
        "kv_bytes_per_token",
    ),
    figures={"parameters": Drawing("by_role", "parameters.title", "parameters.caption")},
)
TENSORS = Kind("tensors", TensorRow, __package__)
ANATOMY = Kind(
    "anatomy",
    Architecture,
    __package__,
    columns=(
        "model",
        "family",
        "parameters",
        "layers",
        "hidden",
        "intermediate",
        "attention",
        "heads",
        "kv_heads",
        "head_size",
        "context",
        "vocabulary",
        "tied",
        "kv_bytes_per_token",
    ),
)
ANATOMY_CACHE = Kind(
    "anatomy-cache",
    CacheRow,
    __package__,
    columns=(
        "model",
        "attention",
        "heads",
        "kv_heads",
        "kv_bytes_per_token",
        "ungrouped",
        "saved",
        "context",
        "full",
        "ungrouped_full",
    ),
    figures={"cache": Drawing("cache", "anatomy.cache_title", "anatomy.cache_caption")},
)
ANATOMY_MEMORY = Kind(
    "anatomy-memory",
    MemoryRow,
    __package__,
    figures={"memory": Drawing("memory", "anatomy.memory_title", "anatomy.memory_caption")},
)
ANATOMY_REACH = Kind(
    "anatomy-reach",
    ReachRow,
    __package__,
    figures={"reach": Drawing("reach", "anatomy.reach_title", "anatomy.reach_caption")},
)
ANATOMY_ROLES = Kind(
    "anatomy-roles",
    RoleShare,
    __package__,
    figures={"roles": Drawing("roles", "anatomy.roles_title", "anatomy.roles_caption")},
)
