"""How the weights of a model are packed, as its `quantization_config` says it, in one line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kaibo.errors import escaped

_BITS = ("bits", "w_bit", "num_bits", "weight_bits")
_GROUPS = ("group_size", "q_group_size", "weight_block_size", "block_size")
_EXCLUDED = ("modules_to_not_convert", "ignore", "exclude_modules", "llm_int8_skip_modules", "ignored_layers")
_MOST = 60


def quantisation_of(config: Mapping[str, Any]) -> str | None:
    """Method, bits, group and what is left out; None where the config says nothing of it.

    >>> quantisation_of({"quantization_config": {"quant_method": "gptq", "bits": 4, "group_size": 128}})
    'gptq, 4 bit, groups of 128'
    """
    found = config.get("quantization_config")
    if not isinstance(found, Mapping):
        return None
    method = next((found[key] for key in ("quant_method", "quant_algo", "quant_type") if found.get(key)), "not named")
    said = [escaped(str(method), _MOST)]
    weights = _weights(found)
    bits = next((weights[key] for key in _BITS if _whole(weights.get(key))), None)
    if bits is None and any(found.get(key) is True for key in ("load_in_4bit", "load_in_8bit")):
        bits = 4 if found.get("load_in_4bit") is True else 8
    said += [f"{bits} bit"] if bits is not None else []
    said += [escaped(str(found["fmt"]), _MOST)] if isinstance(found.get("fmt"), str) else []
    group = next((weights[key] for key in _GROUPS if weights.get(key)), None)
    if isinstance(group, int) and not isinstance(group, bool) and group > 0:
        said.append(f"groups of {group}")
    elif isinstance(group, list) and len(group) <= 3 and all(_whole(size) for size in group):
        said.append(f"blocks of {' × '.join(map(str, group))}")
    excluded = next((found[key] for key in _EXCLUDED if isinstance(found.get(key), list) and found[key]), None)
    if excluded is not None:
        names = ", ".join(escaped(str(name), 40) for name in excluded[:3])
        said.append(f"without {names}{f' and {len(excluded) - 3:,} more' if len(excluded) > 3 else ''}")
    return ", ".join(said)


def _weights(found: Mapping[str, Any]) -> Mapping[str, Any]:
    """What is said of the weights: the first group of compressed-tensors and ModelOpt, else the table itself."""
    groups = found.get("config_groups")
    first = next(iter(groups.values()), None) if isinstance(groups, Mapping) else None
    weights = first.get("weights") if isinstance(first, Mapping) else None
    return {**found, **weights} if isinstance(weights, Mapping) else found


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
