"""`params.json`, in which Meta and Mistral describe a model, as a config under the anatomy `meta`.

Source: github.com/meta-llama/llama: llama/model.py (FeedForward: the width of the hidden layer); Mistral's files name
it as `hidden_dim`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kaibo.models.anatomy.settings import LARGEST

PARAMS = "params.json"
_NEEDED = ("dim", "n_layers", "n_heads")
_OTHER = ("moe", "q_lora_rank", "kv_lora_rank")
"""What a model of other tensors has: experts, latent attention."""


def as_config(params: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same with the type and what follows from it; as it is where it is no such file.

    >>> as_config({"dim": 4096, "n_layers": 32, "n_heads": 32, "multiple_of": 256, "vocab_size": -1})["hidden_dim"]
    11008
    """
    if "model_type" in params or any(key not in params for key in _NEEDED) or any(key in params for key in _OTHER):
        return params
    found = {key: value for key, value in params.items() if not (key == "vocab_size" and value == -1)}
    if "tied_embeddings" in found:
        found["tie_word_embeddings"] = found.pop("tied_embeddings")
    width = _hidden(params)
    return {**({} if width is None else {"hidden_dim": width}), **found, "model_type": "meta"}


def _hidden(params: Mapping[str, Any]) -> int | None:
    """Two thirds of four times the width, times the multiplier, rounded up to a multiple."""
    dim, multiple, more = params.get("dim"), params.get("multiple_of"), params.get("ffn_dim_multiplier")
    if type(dim) is not int or type(multiple) is not int or not (0 < dim < LARGEST and 0 < multiple < LARGEST):
        return None
    hidden = int(2 * 4 * dim / 3)
    if more is not None:
        if type(more) not in (int, float) or not 0 < more < LARGEST:
            return None
        hidden = int(more * hidden)
    return multiple * -(-hidden // multiple)
