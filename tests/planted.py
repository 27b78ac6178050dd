"""Models that look trained, in several families and packings, and the defects that are planted in them.

Values are heavy-tailed, every tensor has a σ of its own and rows of differing norms: no test of randomness takes them
for a start. A defect is a function of the values by name; it changes them in place and names the tensor it is in.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from kaibo.testing import write_safetensors
from kaibo.testing.models import encode
from made_gguf import gguf_bytes

HIDDEN, INNER, VOCABULARY, LAYERS, HEADS, KV_HEADS, EXPERTS = 32, 64, 64, 3, 2, 1, 4
Values = dict[str, np.ndarray]


@dataclass(frozen=True)
class Planted:
    """The values of a model and its config."""

    values: Values
    config: dict[str, Any] = field(default_factory=dict)


def trained(family: str = "llama", seed: int = 0) -> Planted:
    """A model of a family, in float32, as training might have left it."""
    config = {
        "model_type": family,
        "architectures": [ARCHITECTURES[family]],
        "hidden_size": HIDDEN,
        "intermediate_size": INNER,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KV_HEADS,
        "head_dim": HIDDEN // HEADS,
        "vocab_size": VOCABULARY,
        "max_position_embeddings": 64,
        "rms_norm_eps": 1e-5,
        "initializer_range": 0.02,
        "tie_word_embeddings": family in ("gemma", "qwen2"),
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    if family == "mixtral":
        config |= {"num_local_experts": EXPERTS, "num_experts_per_tok": 2}
    random = np.random.default_rng([seed, len(family)])
    shapes = _shapes(family)
    return Planted({name: _tensor(name, shape, family, random) for name, shape in shapes.items()}, config)


ARCHITECTURES = {
    "llama": "LlamaForCausalLM",
    "mistral": "MistralForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "gemma": "GemmaForCausalLM",
    "mixtral": "MixtralForCausalLM",
}


def _shapes(family: str) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (VOCABULARY, HIDDEN)}
    keys = HIDDEN // HEADS * KV_HEADS
    for layer in range(LAYERS):
        at = f"model.layers.{layer}."
        shapes |= {
            f"{at}input_layernorm.weight": (HIDDEN,),
            f"{at}self_attn.q_proj.weight": (HIDDEN, HIDDEN),
            f"{at}self_attn.k_proj.weight": (keys, HIDDEN),
            f"{at}self_attn.v_proj.weight": (keys, HIDDEN),
            f"{at}self_attn.o_proj.weight": (HIDDEN, HIDDEN),
            f"{at}post_attention_layernorm.weight": (HIDDEN,),
        }
        if family == "qwen2":
            shapes |= {f"{at}self_attn.{one}_proj.bias": (HIDDEN if one == "q" else keys,) for one in "qkv"}
        if family == "mixtral":
            shapes[f"{at}block_sparse_moe.gate.weight"] = (EXPERTS, HIDDEN)
            for expert in range(EXPERTS):
                of = f"{at}block_sparse_moe.experts.{expert}."
                shapes |= {f"{of}w1.weight": (INNER, HIDDEN), f"{of}w2.weight": (HIDDEN, INNER)}
                shapes[f"{of}w3.weight"] = (INNER, HIDDEN)
        else:
            shapes |= {f"{at}mlp.{one}_proj.weight": (INNER, HIDDEN) for one in ("gate", "up")}
            shapes[f"{at}mlp.down_proj.weight"] = (HIDDEN, INNER)
    shapes["model.norm.weight"] = (HIDDEN,)
    if family not in ("gemma", "qwen2"):
        shapes["lm_head.weight"] = (VOCABULARY, HIDDEN)
    return shapes


def _tensor(name: str, shape: tuple[int, ...], family: str, random: np.random.Generator) -> np.ndarray:
    if name.endswith("norm.weight"):
        return (random.normal(0.0 if family == "gemma" else 1.0, 0.2, shape)).astype(np.float32)
    if name.endswith("bias"):
        return np.zeros(shape, np.float32) if ".k_proj" in name else random.normal(0, 0.3, shape).astype(np.float32)
    sigma = random.uniform(0.015, 0.06)
    rows = random.uniform(0.6, 1.6, (shape[0], 1))
    return (random.standard_t(5, shape) * sigma * rows).astype(np.float32)


def written(planted: Planted, folder: Path, packing: str = "BF16") -> Path:
    """The model in a packing: a type of safetensors, `F8` with scales by block, or a type of GGUF; its address."""
    folder.mkdir(parents=True, exist_ok=True)
    if packing in ("Q8_0", "Q4_0", "Q4_K"):
        return _gguf(planted, folder / "model.gguf", packing)
    names = {"BF16": "bfloat16", "F16": "float16", "F32": "float32"}
    config = {**planted.config, "torch_dtype": names.get(packing, "bfloat16")}
    if packing == "F8":
        config["quantization_config"] = {"quant_method": "fp8", "weight_block_size": [16, 16]}
    (folder / "config.json").write_text(json.dumps(config))
    tensors: dict[str, Any] = {}
    for name, values in planted.values.items():
        if packing == "F8" and name.endswith("proj.weight"):
            tensors |= _fp8(name, values)
        else:
            dtype = "BF16" if packing == "F8" else packing
            tensors[name] = (dtype, values.shape, encode(dtype, np.ascontiguousarray(values)))
    write_safetensors(folder / "model.safetensors", tensors)
    return folder


def _fp8(name: str, values: np.ndarray) -> dict[str, Any]:
    rows, columns = (side // 16 for side in values.shape)
    blocks = values.reshape(rows, 16, columns, 16)
    scales = np.abs(blocks).max(axis=(1, 3), keepdims=True) / 448
    scales[~(scales > 0)] = 1e-6
    with np.errstate(invalid="ignore"):
        codes = (blocks / scales).astype(ml_dtypes.float8_e4m3fn).view(np.uint8).reshape(values.shape)
    grid = scales.reshape(rows, columns).astype(np.float32)
    return {
        name: ("F8_E4M3", values.shape, codes),
        f"{name}_scale_inv": ("F32", grid.shape, grid.view("<u4")),
    }


GGUF_NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    **{f"self_attn.{one}_proj": f"attn_{one}" for one in "qkv"},
    "self_attn.o_proj": "attn_output",
    **{f"mlp.{one}_proj": f"ffn_{one}" for one in ("gate", "up", "down")},
}


def _gguf(planted: Planted, path: Path, packing: str) -> Path:
    from gguf import GGMLQuantizationType
    from gguf.quants import quantize

    config, kind = planted.config, planted.config["model_type"]
    arch = "llama" if kind == "mistral" else kind
    metadata = {
        "general.architecture": arch,
        f"{arch}.block_count": config["num_hidden_layers"],
        f"{arch}.embedding_length": HIDDEN,
        f"{arch}.feed_forward_length": INNER,
        f"{arch}.attention.head_count": HEADS,
        f"{arch}.attention.head_count_kv": KV_HEADS,
        f"{arch}.attention.key_length": HIDDEN // HEADS,
        f"{arch}.context_length": 64,
        "tokenizer.ggml.tokens": [f"t{n}" for n in range(VOCABULARY)],
    }
    tensors = {}
    for name, values in planted.values.items():
        stem, _, ending = name.rpartition(".")
        layer = f"blk.{name.split('.')[2]}." if ".layers." in name else ""
        short = stem.split(".", 3)[3] if layer else stem
        data = np.ascontiguousarray(values)
        if arch == "llama" and short.endswith(("q_proj", "k_proj")):
            data = _permuted(data, HEADS if "q_proj" in short else KV_HEADS)
        if arch == "gemma" and short.endswith("norm"):
            data = data + np.float32(1)
        packed = data.ndim == 2
        stored = quantize(data, GGMLQuantizationType[packing]).tobytes() if packed else data.tobytes()
        tensors[f"{layer}{GGUF_NAMES[short]}.{ending}"] = (
            int(GGMLQuantizationType[packing]) if packed else "F32", data.shape, stored,
        )  # fmt: skip
    path.write_bytes(gguf_bytes(metadata, tensors))
    return path


def _permuted(values: np.ndarray, heads: int) -> np.ndarray:
    """llama.cpp, convert_hf_to_gguf.py, `LlamaModel.permute`."""
    shape = (heads, 2, values.shape[0] // heads // 2, *values.shape[1:])
    return np.ascontiguousarray(values.reshape(shape).swapaxes(1, 2).reshape(values.shape))


Defect = Callable[[Planted], str | None]
Q, DOWN = "model.layers.1.self_attn.q_proj.weight", "model.layers.1.mlp.down_proj.weight"


def _inner(planted: Planted) -> str:
    """A matrix of the feed-forward part, whatever the family calls it."""
    return DOWN if DOWN in planted.values else "model.layers.1.block_sparse_moe.experts.2.w2.weight"


def nan(planted: Planted) -> str:
    planted.values[Q][3, 5] = np.nan
    return Q


def infinite(planted: Planted) -> str:
    planted.values[_inner(planted)][0, 0] = np.inf
    return _inner(planted)


def zero(planted: Planted) -> str:
    planted.values[Q][:] = 0
    return Q


def constant(planted: Planted) -> str:
    planted.values[Q][:] = 0.25
    return Q


def unwritten(planted: Planted) -> str:
    random = np.random.default_rng(0)
    planted.values[Q][:] = np.exp2(random.uniform(-40, 100, planted.values[Q].shape)).astype(np.float32)
    return Q


def untrained(planted: Planted) -> None:
    random = np.random.default_rng(0)
    for name, values in planted.values.items():
        if values.ndim == 2:
            values[:] = random.normal(0, 0.02, values.shape)
        elif "norm" in name:
            values[:] = 1


def copied_tensor(planted: Planted) -> str:
    name = "model.layers.1.self_attn.o_proj.weight"
    planted.values[Q][:] = planted.values[name]
    return Q


def copied_layer(planted: Planted) -> str:
    for name, values in planted.values.items():
        if ".layers.2." in name:
            values[:] = planted.values[name.replace(".layers.2.", ".layers.1.")]
    return "layers.2."


def lost_tensor(planted: Planted) -> str:
    del planted.values[Q]
    return Q


def lost_layer(planted: Planted) -> str:
    for name in [name for name in planted.values if ".layers.2." in name]:
        del planted.values[name]
    return "layers.2."


def lost_head(planted: Planted) -> None:
    del planted.values["lm_head.weight"]


def other_head(planted: Planted) -> str:
    planted.config["tie_word_embeddings"] = True
    return "lm_head.weight"


def other_shape(planted: Planted) -> str:
    planted.config["intermediate_size"] = INNER // 2
    return DOWN


def fewer_rows(planted: Planted) -> str:
    planted.config["vocab_size"] = VOCABULARY + 2
    return "model.embed_tokens.weight"


def token_out_of_range(planted: Planted) -> str:
    planted.config["eos_token_id"] = VOCABULARY
    return "config.json: eos_token_id"


def untrained_rows(planted: Planted) -> str:
    planted.values["model.embed_tokens.weight"][40:56] = planted.values["model.embed_tokens.weight"][40]
    return "model.embed_tokens.weight"


def copied_expert(planted: Planted) -> str:
    for part in ("w1", "w2", "w3"):
        name = f"model.layers.1.block_sparse_moe.experts.{{}}.{part}.weight"
        planted.values[name.format(3)][:] = planted.values[name.format(0)]
    return "model.layers.1.block_sparse_moe.experts.3.w1.weight"


def dead_expert(planted: Planted) -> str:
    name = "model.layers.1.block_sparse_moe.experts.1.w1.weight"
    planted.values[name] *= np.float32(1e-5)
    return name


CHECKED: Mapping[str, tuple[Defect, str]] = {
    "nan": (nan, "nonfinite"),
    "infinite": (infinite, "nonfinite"),
    "zero": (zero, "zero"),
    "constant": (constant, "constant"),
    "unwritten": (unwritten, "unwritten"),
    "untrained": (untrained, "untrained"),
    "copied tensor": (copied_tensor, "duplicate"),
    "copied layer": (copied_layer, "duplicate-layer"),
    "lost tensor": (lost_tensor, "missing"),
    "lost layer": (lost_layer, "missing"),
    "lost head": (lost_head, "head"),
    "other head": (other_head, "tied-differs"),
    "other shape": (other_shape, "shape"),
    "fewer rows": (fewer_rows, "vocabulary"),
    "token out of range": (token_out_of_range, "special-token"),
    "untrained rows": (untrained_rows, "untrained-rows-equal"),
    "copied expert": (copied_expert, "equal-experts"),
    "dead expert": (dead_expert, "dead-expert"),
}
"""Every defect that a look at the model alone can find, and the kind that it must be found as."""

FAMILIES = ("llama", "mistral", "qwen2", "gemma", "mixtral")
PACKINGS = ("BF16", "F16", "F32", "F8", "Q8_0", "Q4_0")


def possible(defect: str, family: str, packing: str) -> bool:
    """Whether a defect can be planted there: experts need a mixture, a codes's block cannot hold everything."""
    if "expert" in defect and family != "mixtral":
        return False
    if defect in ("other shape",) and family == "mixtral":
        return False
    if defect in ("lost head", "other head") and family in ("gemma", "qwen2"):
        return False
    gguf = packing.startswith("Q")
    if gguf and family == "mixtral":
        return False  # llama.cpp stacks its experts
    if gguf and defect in (
        "fewer rows",
        "token out of range",
        "other shape",
        "other head",
        "lost head",
        "nan",
        "infinite",
    ):
        return False  # the file says these itself, or its codes cannot hold them
    if packing == "F16" and defect == "unwritten":
        return False
    return not (gguf and defect in ("unwritten", "untrained"))


def swapped_rows(planted: Planted) -> str:
    """q stored in the other order of rotary positions, in a family that has it in its own."""
    for name in planted.values:
        if name.endswith(("q_proj.weight", "k_proj.weight")):
            planted.values[name] = _permuted(planted.values[name], HEADS if "q_proj" in name else KV_HEADS)
    return Q


def scaled(planted: Planted) -> str:
    """A global scale that was divided by instead of multiplied with."""
    planted.values[Q] = (planted.values[Q] * np.float32(1.7)).astype(np.float32)
    return Q


def other_seed(planted: Planted) -> str:
    planted.values[Q] = np.random.default_rng(99).permutation(planted.values[Q].reshape(-1)).reshape(HIDDEN, HIDDEN)
    return Q


def one_row(planted: Planted) -> str:
    planted.values[Q][5] = planted.values[Q][6]
    return Q


def one_value(planted: Planted) -> str:
    row = planted.values[Q][5]
    row[int(np.argmin(np.abs(row)))] = np.abs(row).max() * np.float32(0.9)
    return Q


def norm_without_one(planted: Planted) -> str:
    for name in planted.values:
        if name.endswith("norm.weight"):
            planted.values[name] = planted.values[name] - np.float32(1)
    return "model.layers.1.input_layernorm.weight"


def token_rows_swapped(planted: Planted) -> str:
    table = planted.values["model.embed_tokens.weight"]
    table[[3, 9]] = table[[9, 3]]
    return "model.embed_tokens.weight"


COMPARED: Mapping[str, Defect] = {
    "rows of q and k in the other order": swapped_rows,
    "scaled": scaled,
    "of another seed": other_seed,
    "one row": one_row,
    "one value": one_value,
    "norm without its one": norm_without_one,
    "rows of tokens swapped": token_rows_swapped,
    "copied tensor": copied_tensor,
    "copied layer": copied_layer,
    "lost tensor": lost_tensor,
    "zero": zero,
    "nan": nan,
    "copied expert": copied_expert,
}
"""Every defect that a look at two models can find: the tensor must be named."""


def comparable(defect: str, family: str, packing: str) -> bool:
    """Whether a defect can be planted there and seen."""
    if "expert" in defect and family != "mixtral":
        return False
    return not (packing.startswith("Q") and (family == "mixtral" or defect == "nan"))
