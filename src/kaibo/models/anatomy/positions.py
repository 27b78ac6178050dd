"""How a config says where tokens stand: rotary base and scaling, in the old form and the new, ALiBi or learned.

Old configs keep `rope_theta` and `rope_scaling` apart (its kind under `type`, later `rope_type`); new ones keep
both in `rope_parameters`, and where windowed layers turn at another speed, one such table a kind of layer.
Scalings: linear (Chen et al. 2023, arXiv 2306.15595), dynamic NTK, YaRN (2309.00071), llama3, LongRoPE (2402.13753).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kaibo.errors import escaped
from kaibo.models.anatomy.catalogue import Family, Sources
from kaibo.models.anatomy.settings import Reader, Settings
from kaibo.vocabulary import PositionEncoding
from kaibo.words import note

_OTHER_NAMES = {"su": "longrope", "default": None, "none": None, "ntk": "dynamic"}
_DETAILS = (
    "beta_fast",
    "beta_slow",
    "low_freq_factor",
    "high_freq_factor",
    "attention_factor",
    "mscale",
    "mscale_all_dim",
    "short_mscale",
    "long_mscale",
)


def positions_of(anatomy: Family | None, settings: Settings) -> PositionEncoding:
    """The position encoding that settings describe."""
    facts = anatomy.facts["position"] if anatomy else {}
    reader = settings.reader
    if settings.flags.get("alibi"):
        return PositionEncoding("ALiBi")
    if facts.get("kind", "RoPE") != "RoPE":
        return PositionEncoding(facts["kind"])
    table, local = _tables(reader)
    if anatomy is None and not table and reader.raw("rope_theta") is None:
        return PositionEncoding()
    theta = reader.checked_number("rope_parameters.rope_theta", table.get("rope_theta"))
    share = reader.checked_number("rope_parameters.partial_rotary_factor", table.get("partial_rotary_factor"))
    scaling, factor, original, details = _scaling(reader, table)
    return PositionEncoding(
        kind="RoPE",
        base=theta if theta is not None else _number(reader, facts.get("base", ("rope_theta",))),
        local_base=_local_base(reader, local, facts),
        share=share if share is not None else _number(reader, facts.get("share", (1.0,))),
        scaling=scaling,
        factor=factor,
        original_context=original,
        details=details,
    )


def _tables(reader: Reader) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """The table of the layers that see everything, and that of the windowed ones (empty where there is one table)."""
    for key in ("rope_parameters", "rope_scaling"):
        table = reader.raw(key)
        if table is None:
            continue
        if not isinstance(table, Mapping):
            reader.note(key, table, note("config_object"))
            continue
        whole, local = table.get("full_attention"), table.get("sliding_attention")
        if isinstance(whole, Mapping):
            return whole, local if isinstance(local, Mapping) else {}
        return table, {}
    return {}, {}


def _scaling(
    reader: Reader, table: Mapping[str, Any]
) -> tuple[str | None, float | None, int | None, Mapping[str, float]]:
    said = table.get("rope_type", table.get("type"))
    if said is None:
        return None, None, None, {}
    if not isinstance(said, str):
        reader.note("rope_scaling.type", said, note("config_a_text"))
        return None, None, None, {}
    kind = _OTHER_NAMES.get(said, escaped(said, 60))
    if kind is None:
        return None, None, None, {}
    factor = reader.checked_number("rope_scaling.factor", table.get("factor"))
    original = table.get("original_max_position_embeddings", reader.raw("original_max_position_embeddings"))
    whole = original if isinstance(original, int) and not isinstance(original, bool) and original > 0 else None
    if original is not None and whole is None:
        reader.note("original_max_position_embeddings", original, note("config_whole"))
    details = {name: reader.checked_number(f"rope_scaling.{name}", table.get(name)) for name in _DETAILS}
    return kind, factor, whole, {name: value for name, value in details.items() if value is not None}


def _local_base(reader: Reader, local: Mapping[str, Any], facts: Mapping[str, Any]) -> float | None:
    said = reader.checked_number("rope_parameters.sliding_attention.rope_theta", local.get("rope_theta"))
    return said if said is not None else _number(reader, facts.get("local_base", ()))


def _number(reader: Reader, sources: Sources) -> float | None:
    for source in sources:
        value = reader.number(source) if isinstance(source, str) else float(source)
        if value is not None:
            return value
    return None
