"""The first component of the open models against what their training cost: 6 N D, from their exact sizes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import kaibo

from .components import FACTS

CONFIGS = Path(__file__).resolve().parents[1] / "llama_family" / "configs"
SHAPES = {
    "Llama 1 7B": "LLaMA-7B",
    "Llama 1 13B": "LLaMA-13B",
    "Llama 1 33B": "LLaMA-33B",
    "Llama 1 65B": "LLaMA-65B",
    "Llama 2 7B": "Llama-2-7B",
    "Llama 2 13B": "Llama-2-13B",
    "Llama 2 34B": "Code-Llama-34B",
    "Llama 2 70B": "Llama-2-70B",
}
"""The rows of the table by the config of their shape; Llama 2 34B itself was never published, its code model was."""


@dataclass(frozen=True)
class Line:
    """R² of the first component against log10(6 N D): with exact sizes and its interval, and with sizes as printed."""

    n: int
    exact: float
    low: float
    high: float
    printed: float


def line(row: Any) -> Line | None:
    """The line over the eight Llama rows; None where the configs of the other study are not beside this one."""
    folders = {model: CONFIGS / name for model, name in SHAPES.items() if (CONFIGS / name).is_dir()}
    if len(folders) < len(SHAPES):
        return None
    training = kaibo.score_table(FACTS)
    tokens = dict(zip(training.models, training.fact("tokens"), strict=True))
    printed = dict(zip(training.models, training.fact("parameters"), strict=True))
    shapes = kaibo.inspect([str(folder) for folder in folders.values()]).rows
    exact = {model: float(shape.parameters) for model, shape in zip(folders, shapes, strict=True)}
    first = [row.scores[model][0] for model in exact]
    r = correlation([exact[model] * tokens[model] for model in exact], first)
    half = 1.96 / math.sqrt(len(exact) - 3)  # Fisher's z
    low, high = (math.tanh(math.atanh(r) + side * half) ** 2 for side in (-1, 1))
    nominal = correlation([printed[model] * tokens[model] for model in exact], first)
    return Line(len(exact), r * r, low, high, nominal**2)


def correlation(cost: list[float], score: list[float]) -> float:
    """Pearson's r of a score with log10 of 6 N D."""
    return float(np.corrcoef(np.log10(6 * np.array(cost)), np.array(score))[0, 1])
