"""Tensors that are never weights: what stands beside packed codes, and codes whose packing is not known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from kaibo.models.formats import StoredTensor
from kaibo.models.formats.gguf import sizes
from kaibo.models.packings.packed import Stored
from kaibo.vocabulary import DType

CODES: Mapping[str, str] = {
    "qweight": "packed codes of GPTQ or AWQ",
    "weight_packed": "packed codes of compressed-tensors",
    "weight_blocks": "packed codes of MXFP4",
    "blocks": "packed codes of MXFP4",
    "weight_qdata": "packed codes of torchao",
}
"""How the name of packed codes ends, and what they are."""

PARTS: Mapping[str, str] = {
    "qzeros": "zero points of packed codes",
    "g_idx": "the order of groups of packed codes",
    "weight_g_idx": "the order of groups of packed codes",
    "perm": "the order of groups of packed codes",
    "weight_shape": "the shape of packed codes",
    "weight_zero_point": "zero points of packed codes",
    "weight_scale": "scales of 8-bit codes",
    "weight_scale_inv": "scales of 8-bit codes",
    "weight_scale_2": "scales of 4-bit codes",
    "weight_global_scale": "scales of 4-bit codes",
    "input_global_scale": "the scale of activations",
    "weight_scales": "scales of packed codes",
    "scale_weight": "scales of 8-bit codes",
    "qscale_weight": "scales of 8-bit codes",
    "weights_scaling_factor": "scales of packed codes",
    "absmax": "scales of 4-bit codes of bitsandbytes",
    "quant_map": "the grid of 4-bit codes of bitsandbytes",
    "nested_absmax": "scales of 4-bit codes of bitsandbytes",
    "nested_quant_map": "the grid of 4-bit codes of bitsandbytes",
    "bitsandbytes__nf4": "the state of 4-bit codes of bitsandbytes",
    "bitsandbytes__fp4": "the state of 4-bit codes of bitsandbytes",
    "SCB": "scales of 8-bit codes of bitsandbytes",
    "weight_format": "the layout of 8-bit codes of bitsandbytes",
    **dict.fromkeys(
        (
            *("input_scale", "input_scale_inv", "output_scale", "activation_scale", "act_scale", "scale_input"),
            *(
                "qscale_act",
                "weight_act_pre_scale",
                "activation_scaling_factor",
                "input_zero_point",
                "output_zero_point",
                "scaled_fp8",
            ),
        ),
        "the scale of activations",
    ),
    **dict.fromkeys(
        (
            *("k_scale", "v_scale", "q_scale", "kv_scale", "k_zero_point", "v_zero_point", "k_proj.output_scale"),
            *("v_proj.output_scale", "prob_output_scale", "prob_scale", "kv_cache_scaling_factor"),
        ),
        "the scale of cached keys and values",
    ),
}
"""How the name of a part of packed weights ends, and what it is: never a weight, in any family."""

BESIDE: Mapping[str, str] = {
    "scales": "scales of packed codes",
    "scale": "scales of packed codes",
    "biases": "offsets of packed codes",
    "zeros": "zero points of packed codes",
    "zero_point": "zero points of packed codes",
    "codebook": "the grid of packed codes",
    "codebooks": "the grid of packed codes",
}
"""Endings that are parts only beside codes: in other models they may be weights (a norm's `scale`)."""


def described(name: str) -> str:
    """What a tensor is that is a part of packed weights by its name alone; "" for any other.

    >>> described("h.0.qzeros"), described("h.0.mlp.gate_up_proj_blocks"), described("norm.weight")
    ('zero points of packed codes', 'packed codes of MXFP4', '')
    """
    last = name.rpartition(".")[2].removeprefix("_")
    for table in (CODES, PARTS):
        if last in table:
            return table[last]
    if last.endswith("_blocks"):
        return CODES["blocks"]
    if last.endswith(("_scale", "_scale_inv", "_scales")) and "proj" in last:
        return "scales of packed codes"
    return ""


def of_activations(name: str) -> bool:
    """Whether a tensor scales what flows through the model, not what it holds: no part of any weight.

    >>> of_activations("h.0.mlp.up.input_scale"), of_activations("h.0.mlp.up.weight_scale")
    (True, False)
    """
    return described(name) in ("the scale of activations", "the scale of cached keys and values")


def is_codes(tensor: StoredTensor, *, quantised: bool) -> bool:
    """Whether a stored tensor is packed codes that stand for weights, each in one of the ways that are known."""
    last = tensor.name.rpartition(".")[2].removeprefix("_")
    if last in CODES or last.endswith("_blocks"):
        return True
    if tensor.dtype.kind == "packed" and tensor.dtype.name != "BOOL":
        return True
    integers = tensor.dtype.kind == "integer" and tensor.dtype.bits in (8, 32) and len(tensor.shape) >= 2
    return integers and (last == "weight" or (quantised and not described(tensor.name)))


def coded(entries: Stored) -> frozenset[str]:
    """The stems (`…q_proj`) and names of tensors that are codes by their type: what stands beside them are parts."""
    found = [
        name
        for name, tensor in entries.items()
        if tensor.dtype.kind == "packed" or (tensor.dtype.bits in (8, 32) and tensor.dtype.kind == "integer")
        if len(tensor.shape) >= 2
    ]
    found += [name for name, tensor in entries.items() if tensor.dtype.bits == 8 and tensor.dtype.kind == "float"]
    return frozenset([*found, *(name.rpartition(".")[0] for name in found)])


def reason(name: str, stems: frozenset[str]) -> str:
    """What a tensor is that no packing took, where it is no weight; `stems` are those of codes."""
    if found := described(name):
        return found
    stem, _, last = name.rpartition(".")
    beside = last in BESIDE or last.startswith("weight_") or stem.endswith(".weight")
    return BESIDE.get(last, "a part of packed codes") if beside and stem in stems else ""


def not_weights(tensor: StoredTensor) -> StoredTensor:
    """A tensor of floats that is no weights: listed, never measured."""
    dtype = tensor.dtype
    return replace(tensor, dtype=DType(dtype.name, dtype.bits, "scale")) if dtype.measurable else tensor


def parameters(tensor: StoredTensor, config: Mapping[str, Any]) -> int:
    """About how many parameters a tensor of codes stands for, by the bits that the config says or that are usual."""
    block = sizes(tensor.dtype.name)
    if block is not None:
        return tensor.size // block[1] * block[0]
    whole = tensor.dtype.kind == "packed" and tensor.dtype.name in ("I8", "U8")  # one code a weight, of torch and ONNX
    if tensor.dtype.bits in (4, 6) or tensor.dtype.kind == "float" or whole:
        return tensor.size
    bits = _bits(config) or (4 if tensor.name.rpartition(".")[2] != "weight" or tensor.dtype.name != "I8" else 8)
    return tensor.size * tensor.dtype.bits // bits


def _bits(config: Mapping[str, Any]) -> int | None:
    for key in ("quantization_config", "quantization"):
        found = config.get(key)
        if isinstance(found, Mapping):
            bits = found.get("bits", found.get("w_bit", 4 if found.get("load_in_4bit") else None))
            if type(bits) is int and 1 <= bits <= 8:
                return bits
    return None
