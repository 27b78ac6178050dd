"""GGUF files written by hand, byte by byte, in either byte order: what the format's own text says and no library."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

KINDS = {"F32": 0, "F16": 1, "Q4_0": 2, "Q8_0": 8, "Q4_K": 12, "I32": 26, "BF16": 30}


def text(value: str, order: str) -> bytes:
    data = value.encode()
    return struct.pack(f"{order}Q", len(data)) + data


def value_of(value: Any, order: str) -> bytes:
    """A value of metadata with its type in front."""
    if isinstance(value, bool):
        return struct.pack(f"{order}IB", 7, value)
    if isinstance(value, int):
        return struct.pack(f"{order}II", 4, value)
    if isinstance(value, float):
        return struct.pack(f"{order}If", 6, value)
    if isinstance(value, str):
        return struct.pack(f"{order}I", 8) + text(value, order)
    inner = [value_of(one, order) for one in value] or [struct.pack(f"{order}II", 4, 0)]
    return (
        struct.pack(f"{order}I", 9)
        + inner[0][:4]
        + struct.pack(f"{order}Q", len(value))
        + b"".join(one[4:] for one in inner[: len(value)])
    )


def gguf_bytes(
    metadata: Mapping[str, Any],
    tensors: Mapping[str, tuple[int | str, tuple[int, ...], bytes]],
    *,
    order: str = "<",
    version: int = 3,
    alignment: int = 32,
) -> bytes:
    """A file of tensors (type, shape of values with the longest step first, bytes)."""
    head = b"GGUF" + struct.pack(f"{order}IQQ", version, len(tensors), len(metadata))
    for key, value in metadata.items():
        head += text(key, order) + value_of(value, order)
    at, data = 0, b""
    for name, (kind, shape, stored) in tensors.items():
        number = KINDS[kind] if isinstance(kind, str) else kind
        head += text(name, order) + struct.pack(f"{order}I{len(shape)}Q", len(shape), *shape[::-1])
        head += struct.pack(f"{order}IQ", number, at)
        padded = stored + bytes(-len(stored) % alignment)
        data, at = data + padded, at + len(padded)
    return head + bytes(-len(head) % alignment) + data


def write_gguf(path: Path, metadata: Mapping[str, Any], tensors: Mapping[str, Any], **how: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gguf_bytes(metadata, tensors, **how))
    return path
