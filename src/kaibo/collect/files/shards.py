"""How tensors are laid out in safetensors files: which file, which bytes, and the header before them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kaibo.vocabulary import Tensor

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"


@dataclass(frozen=True)
class Placed:
    """A tensor and where its bytes begin and end in its file."""

    tensor: Tensor
    begin: int
    end: int


@dataclass(frozen=True)
class Shard:
    """One file: its name, what stands before the tensors, the tensors end to end, its length in bytes."""

    name: str
    header: bytes
    placed: tuple[Placed, ...]
    size: int


def shards_of(tensors: Sequence[Tensor], limit: int, metadata: Mapping[str, str]) -> tuple[Shard, ...]:
    """Tensors in order over files of at most `limit` bytes of weights (one tensor at least)."""
    groups: list[list[Tensor]] = [[]]
    held = 0
    for tensor in tensors:
        size = bytes_of(tensor)
        if groups[-1] and held + size > limit:
            groups.append([])
            held = 0
        groups[-1].append(tensor)
        held += size
    names = (
        [SINGLE]
        if len(groups) == 1
        else [f"model-{place + 1:05d}-of-{len(groups):05d}.safetensors" for place in range(len(groups))]
    )
    return tuple(_shard(name, group, metadata) for name, group in zip(names, groups, strict=True))


def bytes_of(tensor: Tensor) -> int:
    """How many bytes a tensor takes in a file."""
    return tensor.size * tensor.dtype.bits // 8


def _shard(name: str, tensors: Sequence[Tensor], metadata: Mapping[str, str]) -> Shard:
    described: dict[str, object] = {"__metadata__": dict(metadata)}
    begin = 0
    spans = []
    for tensor in tensors:
        end = begin + bytes_of(tensor)
        described[tensor.name] = {
            "dtype": tensor.dtype.name,
            "shape": list(tensor.shape),
            "data_offsets": [begin, end],
        }
        spans.append((tensor, begin, end))
        begin = end
    text = json.dumps(described, separators=(",", ":"), ensure_ascii=False).encode("utf-8")
    text += b" " * (-len(text) % 8)  # the tensors begin at a multiple of eight, as the reference writer does
    header = len(text).to_bytes(8, "little") + text
    placed = tuple(Placed(tensor, len(header) + first, len(header) + last) for tensor, first, last in spans)
    return Shard(name, header, placed, len(header) + begin)


def index_of(shards: Sequence[Shard]) -> bytes:
    """The index of several files, as JSON."""
    weight_map = {placed.tensor.name: shard.name for shard in shards for placed in shard.placed}
    total = sum(placed.end - placed.begin for shard in shards for placed in shard.placed)
    index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(weight_map.items()))}
    return json.dumps(index, indent=2).encode() + b"\n"
