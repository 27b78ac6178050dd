"""ONNX files written by hand, field by field: what onnx.proto says and no library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path


def number(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def field(key: int, value: int | bytes | str) -> bytes:
    if isinstance(value, int):
        return number(key << 3) + number(value)
    data = value.encode() if isinstance(value, str) else value
    return number(key << 3 | 2) + number(len(data)) + data


def tensor(
    name: str, kind: int, shape: Sequence[int], data: bytes | Mapping[str, str], *, packed: bool = False
) -> bytes:
    """A TensorProto; `data` are its bytes, or what external_data says of them."""
    axes = field(1, b"".join(map(number, shape))) if packed else b"".join(field(1, axis) for axis in shape)
    head = axes + field(2, kind) + field(8, name)
    if isinstance(data, bytes):
        return head + field(9, data)
    said = b"".join(field(13, field(1, key) + field(2, value)) for key, value in data.items())
    return head + said + field(14, 1)


def node(kind: str, inputs: Sequence[str]) -> bytes:
    return b"".join(field(1, name) for name in inputs) + field(2, "out") + field(4, kind)


def model(tensors: Sequence[bytes], nodes: Sequence[bytes] = ()) -> bytes:
    graph = b"".join(field(1, one) for one in nodes) + field(2, "g") + b"".join(field(5, one) for one in tensors)
    return field(1, 8) + field(2, "pytorch") + field(3, "2.0") + field(7, graph) + field(8, field(2, 17))


def write_onnx(path: Path, tensors: Mapping[str, tuple[int, tuple[int, ...], bytes | Mapping[str, str]]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model([tensor(name, *one) for name, one in tensors.items()]))
    return path
