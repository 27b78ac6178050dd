"""The small files that belong to a model's weights: config, tokenizer, templates, as bytes to be copied."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

from kaibo.documents.json_text import json_value
from kaibo.errors import FormatError, PolicyError
from kaibo.models.opening import target_of

NAMES = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "chat_template.jinja",
    "chat_template.json",
    "preprocessor_config.json",
)
"""Files that are copied; code (`*.py`) never is."""

LIMIT = 1 << 28
"""Bytes of a file that are copied at most."""


def companions(address: str, dtype: str | None = None) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of each small file beside the weights; with `dtype` the config says that type.

    A link out of the folder is left out. Raises what opening the address raises.
    """
    target = target_of(address)
    if target.file is not None:
        return
    for name in NAMES:
        try:
            there = target.has(name) if target.far else os.path.isfile(target.inside(name))
        except PolicyError:
            continue
        if not there:
            continue
        file = target.opened(name)
        if file.size <= LIMIT:
            data = file.read(0, file.size)
            yield name, _with_dtype(data, dtype) if name == "config.json" and dtype else data


def _with_dtype(data: bytes, dtype: str) -> bytes:
    """A config that names another type, its other keys in their order; as it was where it is no JSON object."""
    try:
        config = json_value(data, "config.json", [])
    except FormatError:
        return data
    if not isinstance(config, dict):
        return data
    key = "torch_dtype" if "torch_dtype" in config else "dtype"
    return json.dumps({**config, key: dtype}, indent=2, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n"
