"""LoRA adapters written by hand, with numpy alone: what PEFT writes, without PEFT."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np

from kaibo.testing.models import Plan, encode, write_safetensors


def tiny_adapter(
    folder: str | os.PathLike[str], *, base: str = "my-model", seed: int = 0, rank: int = 4, alpha: float = 8.0
) -> Path:
    """Writes a LoRA for the queries and values of a `tiny_model` of the usual size, float32; the folder.

    `base` is the name that it gives its base. The same arguments give the same bytes.
    """
    plan, random = Plan(), np.random.default_rng(seed)
    targets = ("q_proj", "v_proj")
    tensors = {}
    for name, shape in plan.tensors().items():
        module = name.removesuffix(".weight")
        if not module.endswith(targets):
            continue
        for part, size in (("lora_A", (rank, shape[1])), ("lora_B", (shape[0], rank))):
            values = (random.standard_normal(size) * 0.01).astype(np.float32)
            tensors[f"base_model.model.{module}.{part}.weight"] = ("F32", size, encode("F32", values))
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_safetensors(folder / "adapter_model.safetensors", tensors, {"format": "pt"})
    config = {"peft_type": "LORA", "base_model_name_or_path": base, "r": rank, "lora_alpha": alpha}
    text = json.dumps({**config, "target_modules": list(targets)}, indent=2)
    (folder / "adapter_config.json").write_text(text + "\n", encoding="utf-8")
    return folder
