"""Fused tensors taken apart on paper: which rows of a fused tensor are which part. The rules are data, `parts.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaibo.models.anatomy.expressions import evaluate

Rows = NDArray[np.int64]


@cache
def rules() -> Mapping[str, Mapping[str, str]]:
    """The tables of `parts.toml`, read once from the package's data."""
    text = resources.files(__package__).joinpath("parts.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def fused_layout(role: str, layout: Mapping[str, Any]) -> str | None:
    """How the parts of a tensor of this role lie in it under a family's [layout]; None where it is not fused.

    >>> fused_layout("attention.qkv", {"qkv": "heads (q k v)"})
    'heads (q k v)'
    """
    found = layout.get(rules()["fused"].get(role, ""))
    return found if isinstance(found, str) else None


def part_role(role: str, part: str) -> str | None:
    """The role of a part of a fused tensor.

    >>> part_role("attention.qkv", "q…"), part_role("mlp.gate_up", "up")
    ('attention.q', 'mlp.up')
    """
    return rules()["roles"].get(f"{role} {part}")


def part_rows(layout: str, rows: int, sizes: Mapping[str, int]) -> dict[str, Rows] | None:
    """The rows of each part of a fused tensor of so many rows, in the part's own order; together every row once.

    `sizes` are the dimensions of the model (`heads`, `kv_heads`, `head_size`). None where they are not known or do
    not make as many rows as there are.

    >>> heads = {"heads": 2, "kv_heads": 2, "head_size": 2}
    >>> {part: found.tolist() for part, found in part_rows("heads (q k v)", 12, heads).items()}
    {'q': [0, 1, 6, 7], 'k': [2, 3, 8, 9], 'v': [4, 5, 10, 11]}
    """
    outer, parts = _read(layout)
    blocks = 1 if not outer else evaluate(rules()["blocks"].get(outer, outer), sizes)
    if not blocks or rows % blocks:
        return None
    lengths = _lengths(parts, rows, blocks, sizes)
    if lengths is None or sum(lengths) * blocks != rows:
        return None
    begins = np.arange(blocks, dtype=np.int64)[:, None] * (rows // blocks)
    ends = np.cumsum(lengths)
    return {
        part: (begins + np.arange(end - length, end, dtype=np.int64)).reshape(-1)
        for part, length, end in zip(parts, lengths, ends, strict=True)
    }


def _read(layout: str) -> tuple[str, tuple[str, ...]]:
    """`heads (q k v)` as the name of its blocks and the parts of one; no name where there is one block."""
    outer, bracket, inner = layout.partition("(")
    if not bracket:
        return "", tuple(layout.split())
    return outer.strip(), tuple(inner.rstrip(") ").split())


def _lengths(parts: tuple[str, ...], rows: int, blocks: int, sizes: Mapping[str, int]) -> list[int] | None:
    """The rows of each part in one block."""
    formulas = [rules()["sizes"].get(part) for part in parts]
    if not any(formulas):
        return [rows // blocks // len(parts)] * len(parts) if rows % (blocks * len(parts)) == 0 else None
    whole = [evaluate(formula, sizes) if formula else None for formula in formulas]
    known = [size for size in whole if size and size % blocks == 0]
    return [size // blocks for size in known] if len(known) == len(parts) else None
