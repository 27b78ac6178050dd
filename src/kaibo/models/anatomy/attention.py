"""Who looks at what, and what it costs to remember.

With 4 query heads (q), each form keeps its own number of key-value heads (k) per layer and token:

      MHA  as many            GQA  one a group         MQA  one for all        MLA  none: a latent vector
    q1  q2  q3  q4          q1  q2  q3  q4           q1  q2  q3  q4              q1  q2  q3  q4
    |   |   |   |             \\ /     \\ /               \\  \\  /  /                 \\  \\  /  /
    k1  k2  k3  k4            k1      k2                  k1                   c (+ one rotary key)

    2·4·head_size           2·2·head_size            2·1·head_size           latent + rotary numbers

The factor 2 is for keys and values. What one layer keeps per token is `cache_values`; a layer with a window keeps
it for the last `window` tokens only. GQA: Ainslie et al. 2023 (arXiv 2305.13245); MLA: DeepSeek-V2 (2405.04434).
"""

from __future__ import annotations

from dataclasses import dataclass

from kaibo.models.anatomy.catalogue import UNKNOWN, Family
from kaibo.models.anatomy.settings import Settings, rule_count


@dataclass(frozen=True)
class Looking:
    """The kind of attention, numbers kept per layer and token, and which layers look back only a window.

    `per_token_work` are the multiplications of one layer for each token looked back at: scores and their mean.
    """

    kind: str | None
    cache_values: int | None
    window: int | None
    windowed_layers: int
    per_token_work: int | None


def attention_of(anatomy: Family | None, settings: Settings) -> Looking:
    """The attention that settings describe; None in place of what they do not say, `unknown` without a family."""
    if anatomy is None:
        return Looking(UNKNOWN, None, None, 0, None)
    sizes, facts = settings.dimensions, anatomy.facts["attention"]
    window, windowed = _windows(anatomy, settings)
    heads, kv_heads, size = sizes.get("heads"), sizes.get("kv_heads"), sizes.get("head_size")
    if facts.get("kind") == "MLA":
        latent, rotary, value = sizes.get("kv_rank"), sizes.get("rope"), sizes.get("value_size")
        latent, rotary = latent or sizes.get("kv_lora_rank"), rotary or sizes.get("qk_rope_head_dim")
        value = value or sizes.get("v_head_dim")
        size = size if "nope" in sizes else (sizes.get("qk_nope_head_dim") or 0) + (rotary or 0)
        kept = None if latent is None or rotary is None else latent + rotary
        work = None if heads is None or size is None or value is None else heads * (size + value)
        return Looking("MLA", kept, window, windowed, work)
    if heads is None or kv_heads is None:
        return Looking(None, None, window, windowed, None)
    kind = "MHA" if kv_heads == heads else "MQA" if kv_heads == 1 else "GQA"
    if size is None:
        return Looking(kind, None, window, windowed, None)
    kept = 2 * kv_heads * size if facts.get("cached", True) and not anatomy.measured else None
    return Looking(kind, kept, window, windowed, 2 * heads * size)


def _windows(anatomy: Family, settings: Settings) -> tuple[int | None, int]:
    """The window in tokens and the number of layers that have it."""
    facts, reader = anatomy.facts["attention"], settings.reader
    layers = settings.dimensions.get("layers")
    if "window" not in facts or layers is None or not settings.flags.get("windows", True):
        return None, 0
    key, *default = facts["window"] if isinstance(facts["window"], list) else [facts["window"]]
    window = reader.count(key) if reader.raw(key) is not None else next(iter(default), None)
    if window is None:
        return None, 0
    listed = reader.raw("layer_types")
    if isinstance(listed, list) and len(listed) == layers:
        windowed = sum(kind == "sliding_attention" for kind in listed)
    elif facts["windowed"] == "from":
        windowed = max(0, layers - rule_count(reader, facts, "from", 0))
    elif facts["windowed"] == "every":
        windowed = layers - layers // max(1, rule_count(reader, facts, "every", 1))
    else:
        windowed = layers
    return (window, windowed) if windowed else (None, 0)
