"""How far a run moved: L1 and L2 of tuned − base over the stored weights, streamed tensor by tensor.

A run's adapter counts as its product s·BA added to what it was trained on, not rounded; on top of a parent the
distance is taken to the parent and to the base below it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kaibo.documents.json_text import read_json


@dataclass(frozen=True)
class Delta:
    """`against` is `base` or `parent`, `model` its address; norms over `n` values, of which `changed` are not zero."""

    against: str
    model: str
    n: int
    changed: int
    l1: float
    l2: float


def delta(against: str, address: str, base: Path, tuned: Path, adapter: Path | None) -> Delta:
    """The change from the weights in `base` to those in `tuned` plus the adapter's product, added in float64.

    Products and differences are formed in float32 (half-precision squares underflow).
    """
    n = changed = 0
    l1 = l2 = 0.0
    products = dict(_products(adapter)) if adapter is not None else {}
    same = base == tuned
    for name, old, new in _pairs(base, tuned):
        product = products.get(name)
        n += old.numel()
        if same and product is None:
            continue
        change = new.float() - old.float()
        if product is not None:
            scale, a, b, transposed = product
            moved = scale * (b.float() @ a.float())
            change += moved.T if transposed else moved
        changed += int((change != 0).sum())
        l1 += float(change.abs().double().sum())
        l2 += float(change.double().square().sum())
    return Delta(against, address, n, changed, l1, math.sqrt(l2))


def _pairs(base: Path, tuned: Path) -> Iterator[tuple[str, Any, Any]]:
    old, new = _tensors(base), _tensors(tuned)
    for name in sorted(old.keys() & new.keys()):
        left = _read(old[name], name)
        yield name, left, left if old[name] == new[name] else _read(new[name], name)


def _tensors(folder: Path) -> dict[str, Path]:
    from safetensors import safe_open

    found = {}
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, framework="pt") as opened:
            found.update(dict.fromkeys(opened.keys(), file))
    return found


def _read(file: Path, name: str) -> Any:
    from safetensors import safe_open

    with safe_open(file, framework="pt") as opened:
        return opened.get_tensor(name)


def _products(adapter: Path) -> Iterator[tuple[str, tuple[float, Any, Any, bool]]]:
    """For each adapted weight: the scale alpha / r, A, B, and whether the layer stores its weight transposed."""
    from safetensors.torch import load_file

    settings = read_json(adapter / "adapter_config.json")
    factors = load_file(adapter / "adapter_model.safetensors")
    rank, alpha = int(settings["r"]), float(settings["lora_alpha"])
    transposed = bool(settings.get("fan_in_fan_out"))
    for key, a in factors.items():
        if key.endswith(".lora_A.weight"):
            module = key.removesuffix(".lora_A.weight")
            name = module.removeprefix("base_model.model.") + ".weight"
            yield name, (alpha / rank, a, factors[f"{module}.lora_B.weight"], transposed)
