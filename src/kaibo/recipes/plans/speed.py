"""How fast this device multiplies: measured for a fraction of a second, for the time that a plan states."""

from __future__ import annotations

import time
from functools import cache

USED = 0.5
"""The share of the speed of large products that training reaches (the rest are norms, softmax, waiting)."""


@cache
def products_per_second(device: str) -> float:
    """Floating-point operations a second that training may reach on a device that is here."""
    import torch

    size = 1024 if device == "cpu" else 4096
    kind = torch.float32 if device == "cpu" else torch.bfloat16
    left = torch.ones(size, size, device=device, dtype=kind)
    best = 0.0
    for _ in range(4):
        started = time.perf_counter()
        product = left @ left
        float(product[0, 0])  # waits for the device
        best = max(best, 2.0 * size**3 / (time.perf_counter() - started))
    return USED * best
