"""Weights in 8 and 4 bit: which platform has them, what packed folders need, and how much memory a model takes."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

import torch

from kaibo.errors import MissingError, UsageError, escaped, missing_extra
from kaibo.llama.loading import dtype_named

PACKED = {
    "gptq": ("gptqmodel", "optimum"),
    "awq": ("gptqmodel",),
    "bitsandbytes": ("bitsandbytes",),
}
"""The packages through which transformers runs a folder of packed weights."""


def bits_settings(bits: int, dtype: str | None, device: torch.device, file: str) -> dict[str, Any]:
    """What `from_pretrained` is told to load in 8 (LLM.int8) or 4 (NF4) bit.

    Raises UsageError for other widths and for devices without such kernels, MissingError without bitsandbytes.
    """
    if bits not in (4, 8):
        raise UsageError(f"weights are loaded in 8 or 4 bit, not {bits}", file=file)
    if device.type not in ("cpu", "cuda", "xpu"):
        message = f"{bits}-bit weights have no kernels on {device.type}"
        raise UsageError(message, file=file, next="--device cpu, or no --bits")
    if find_spec("bitsandbytes") is None:
        raise missing_extra("train", f"{bits}-bit weights")
    from transformers import BitsAndBytesConfig

    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # it says at every product that it casts

    compute = torch.bfloat16 if dtype is None else dtype_named(dtype)
    kind: dict[str, Any] = {"load_in_8bit": True}
    if bits == 4:
        kind = {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_compute_dtype": compute}
    return {"quantization_config": BitsAndBytesConfig(**kind), "device_map": {"": str(device)}, "dtype": compute}


def packed_needs(config: Any, file: str) -> str | None:
    """What a folder of packed weights wants installed, in words; None where its weights are plain.

    Raises MissingError where a package that transformers needs for them is not here.
    """
    packed = getattr(config, "quantization_config", None)
    packed = packed if isinstance(packed, Mapping) else getattr(packed, "__dict__", None)
    if not packed:
        return None
    method = str(packed.get("quant_method", "")).rpartition(".")[2].lower()
    needed = PACKED.get(method, ())
    absent = [name for name in needed if find_spec(name) is None]
    if absent:
        message = f"its weights are packed as {escaped(method, 40)}, which transformers runs through {absent[0]}"
        raise MissingError(message, file=file, next=f"pip install {' '.join(absent)}")
    return f"its weights are packed ({escaped(method, 40)})"


def weight_bytes(model: torch.nn.Module) -> int:
    """Bytes of a model's parameters and buffers as they lie in memory, tied ones counted once."""
    seen: dict[int, int] = {}
    for tensor in (*model.parameters(), *model.buffers()):
        seen[tensor.data_ptr()] = tensor.nbytes
        for part in _packing(tensor):
            seen[part.data_ptr()] = part.nbytes
    return sum(seen.values())


def _packing(tensor: torch.Tensor) -> list[torch.Tensor]:
    """What bitsandbytes keeps beside the codes: block scales and code books, or row scales."""
    state = getattr(tensor, "quant_state", None)
    inner = getattr(state, "state2", None)
    found = [getattr(state, name, None) for name in ("absmax", "code", "offset")]
    found += [getattr(inner, name, None) for name in ("absmax", "code")]
    found += [getattr(tensor, name, None) for name in ("CB", "SCB")]
    return [one for one in found if isinstance(one, torch.Tensor)]
