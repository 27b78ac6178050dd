"""Models written by hand, with numpy alone: a second implementation of the format beside the reader."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaibo.vocabulary import DTYPES

Shape = tuple[int, ...]
Floats32 = NDArray[np.float32]
Contents = Mapping[str, tuple[str, Sequence[int], bytes | NDArray[Any]]]
_BLOCK = 1 << 22


@dataclass(frozen=True)
class Plan:
    """A LLaMA-shaped architecture, small unless told otherwise; the field names are those of `config.json`."""

    hidden_size: int = 32
    intermediate_size: int = 88
    num_hidden_layers: int = 2
    num_attention_heads: int = 4
    num_key_value_heads: int = 2
    vocab_size: int = 64
    max_position_embeddings: int = 128
    tie_word_embeddings: bool = False
    model_type: str = "llama"

    def config(self, dtype: str = "BF16") -> dict[str, Any]:
        """The `config.json` of the plan."""
        names = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__}
        architecture = {"qwen2": "Qwen2ForCausalLM", "mistral": "MistralForCausalLM"}
        return {
            "architectures": [architecture.get(self.model_type, "LlamaForCausalLM")],
            **fields,
            "hidden_act": "silu",
            "rms_norm_eps": 1e-5,
            "rope_theta": 10000.0,
            "bos_token_id": 1,
            "eos_token_id": 2,
            "torch_dtype": names.get(dtype, "float32"),
        }

    def tensors(self) -> dict[str, Shape]:
        """Name and shape of every tensor, as LLaMA names them."""
        head = self.hidden_size // self.num_attention_heads
        keys, hidden, inner = head * self.num_key_value_heads, self.hidden_size, self.intermediate_size
        shapes: dict[str, Shape] = {"model.embed_tokens.weight": (self.vocab_size, hidden)}
        for layer in range(self.num_hidden_layers):
            prefix = f"model.layers.{layer}."
            shapes |= {
                f"{prefix}input_layernorm.weight": (hidden,),
                f"{prefix}self_attn.q_proj.weight": (hidden, hidden),
                f"{prefix}self_attn.k_proj.weight": (keys, hidden),
                f"{prefix}self_attn.v_proj.weight": (keys, hidden),
                f"{prefix}self_attn.o_proj.weight": (hidden, hidden),
                f"{prefix}post_attention_layernorm.weight": (hidden,),
                f"{prefix}mlp.gate_proj.weight": (inner, hidden),
                f"{prefix}mlp.up_proj.weight": (inner, hidden),
                f"{prefix}mlp.down_proj.weight": (hidden, inner),
            }
        shapes["model.norm.weight"] = (hidden,)
        if not self.tie_word_embeddings:
            shapes["lm_head.weight"] = (self.vocab_size, hidden)
        return shapes


def write_safetensors(
    path: str | os.PathLike[str], tensors: Contents, metadata: Mapping[str, str] | None = None
) -> Path:
    """Writes tensors, given as (dtype name, shape, bytes or array of patterns), in the order of the mapping."""
    parts = {name: _bytes(values) for name, (_, _, values) in tensors.items()}
    entries = {name: (dtype, shape, len(parts[name])) for name, (dtype, shape, _) in tensors.items()}
    for name, (dtype, shape, length) in entries.items():
        if int(np.prod(np.array(shape, dtype=object))) * DTYPES[dtype].bits != 8 * length:
            raise ValueError(f"{name}: {length} bytes are not {dtype} of shape {tuple(shape)}")
    path = Path(path)
    with path.open("wb") as file:
        file.write(header(entries, metadata))
        for part in parts.values():
            file.write(part)
    return path


def header(entries: Mapping[str, tuple[str, Sequence[int], int]], metadata: Mapping[str, str] | None = None) -> bytes:
    """The bytes before the first tensor, for entries of (dtype name, shape, length in bytes) laid end to end."""
    described: dict[str, Any] = {} if metadata is None else {"__metadata__": dict(metadata)}
    begin = 0
    for name, (dtype, shape, length) in entries.items():
        described[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, begin + length]}
        begin += length
    text = json.dumps(described, separators=(",", ":"), ensure_ascii=False).encode("utf-8")
    text += b" " * (-len(text) % 8)  # the tensors begin at a multiple of eight, as the reference writer does
    return len(text).to_bytes(8, "little") + text


def encode(dtype: str, values: Floats32) -> NDArray[np.unsignedinteger]:
    """The patterns of float32 values in a type, rounded to nearest, ties to even.

    >>> [hex(pattern) for pattern in encode("BF16", np.array([1.0, -2.0], np.float32))]
    ['0x3f80', '0xc000']
    """
    if dtype == "BF16":
        wide = values.astype("<f4").view("<u4")
        rounded: NDArray[np.uint16] = ((wide + (((wide >> 16) & 1) + 0x7FFF)) >> 16).astype("<u2")
        return rounded
    if dtype not in ("F64", "F32", "F16"):
        raise ValueError(f"no rounding to {dtype} here; give write_safetensors the patterns")
    narrowed = values.astype(f"<f{DTYPES[dtype].itemsize}")
    return narrowed.view(DTYPES[dtype].patterns)


def tiny_model(
    folder: str | os.PathLike[str],
    *,
    seed: int = 0,
    dtype: str = "BF16",
    family: str = "llama",
    layers: int = 2,
    hidden: int = 32,
    heads: int = 4,
    kv_heads: int = 2,
    vocabulary: int = 64,
    shards: int = 1,
) -> Path:
    """Writes a LLaMA-shaped model of some thousand Gaussian weights and its config; the folder.

    The same arguments give the same bytes, and every tensor has a σ of its own.
    """
    plan = Plan(
        hidden_size=hidden,
        intermediate_size=hidden * 11 // 4,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        vocab_size=vocabulary,
        model_type=family,
    )
    return write_llama(folder, plan, seed=seed, dtype=dtype, shards=shards)


def write_llama(
    folder: str | os.PathLike[str], plan: Plan | None = None, *, seed: int = 0, dtype: str = "BF16", shards: int = 1
) -> Path:
    """Writes a model of any size, a block of random weights at a time; the folder.

    σ follows 0.02 at the ends and grows in the middle of the depth, projections out of a block are narrower, norms
    lie around one: the profiles that a report draws have something to show.
    """
    plan = plan or Plan()
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(plan.config(dtype), indent=2) + "\n", encoding="utf-8")
    shapes = plan.tensors()
    files = _dealt(shapes, shards)
    places = {name: place for place, name in enumerate(shapes)}  # the same weights for any number of shards
    for file, names in files.items():
        width = DTYPES[dtype].itemsize
        entries = {name: (dtype, shapes[name], width * _count(shapes[name])) for name in names}
        with (folder / file).open("wb") as out:
            out.write(header(entries, {"format": "pt"}))
            for name in names:
                random = np.random.default_rng([seed, places[name]])
                for block in _weights(name, shapes[name], plan.num_hidden_layers, random):
                    out.write(encode(dtype, block).tobytes())
    _write_index(folder, files, sum(DTYPES[dtype].itemsize * _count(shape) for shape in shapes.values()))
    return folder


def sparse_model(folder: str | os.PathLike[str], gib: float, shards: int = 1, *, tensors: int = 32) -> Path:
    """Writes the headers of a bf16 model of `gib` GiB and lets the files end where its zeros would; the folder."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rows = max(1, int(gib * (1 << 30)) // tensors // (4096 * 2))
    shapes: dict[str, Shape] = {f"model.layers.{n}.mlp.up_proj.weight": (rows, 4096) for n in range(tensors)}
    (folder / "config.json").write_text(json.dumps({"model_type": "llama"}) + "\n", encoding="utf-8")
    files = _dealt(shapes, shards)
    for file, names in files.items():
        begin = header({name: ("BF16", shapes[name], 2 * _count(shapes[name])) for name in names})
        with (folder / file).open("wb") as out:
            out.write(begin)
            out.truncate(len(begin) + sum(2 * _count(shapes[name]) for name in names))
    _write_index(folder, files, sum(2 * _count(shape) for shape in shapes.values()))
    return folder


def _bytes(values: bytes | NDArray[Any]) -> bytes:
    if isinstance(values, bytes):
        return values
    little: bytes = np.ascontiguousarray(values).astype(values.dtype.newbyteorder("<"), copy=False).tobytes()
    return little


def _count(shape: Shape) -> int:
    return int(np.prod(shape, dtype=np.int64))


def _dealt(shapes: Mapping[str, Shape], shards: int) -> dict[str, list[str]]:
    """Tensors in order over files of about the same number of values."""
    if shards == 1:
        return {"model.safetensors": list(shapes)}
    files: dict[str, list[str]] = {f"model-{n + 1:05d}-of-{shards:05d}.safetensors": [] for n in range(shards)}
    names = list(files)
    whole = sum(_count(shape) for shape in shapes.values())
    before = 0
    for name, shape in shapes.items():
        files[names[min(shards - 1, before * shards // max(whole, 1))]].append(name)
        before += _count(shape)
    return files


def _write_index(folder: Path, files: Mapping[str, list[str]], total: int) -> None:
    if len(files) == 1:
        return
    weight_map = {name: file for file, names in files.items() for name in names}
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")


def _weights(name: str, shape: Shape, layers: int, random: np.random.Generator) -> Iterator[Floats32]:
    count = _count(shape)
    center = 1.0 if "norm" in name else 0.0
    found = [int(part) for part in name.split(".") if part.isdigit()]
    depth = (found[0] + 0.5) / layers if found else 0.0
    sigma = 0.02 * (1.0 + 2.0 * depth * (1.0 - depth))
    sigma *= 0.5 if name.endswith(("o_proj.weight", "down_proj.weight")) else 1.0
    for begin in range(0, count, _BLOCK):
        block = random.standard_normal(min(_BLOCK, count - begin), dtype=np.float32)
        yield block * np.float32(sigma) + np.float32(center)
