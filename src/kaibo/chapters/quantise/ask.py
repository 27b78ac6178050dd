"""`kaibo quantise --report`: what narrower weights save and what they cost."""

from __future__ import annotations

import math
import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kaibo.chapters.context.ask import own_text, read_text
from kaibo.chapters.quantise.rows import QUANTISE
from kaibo.collect import Progress, quiet
from kaibo.desk.addresses import Address
from kaibo.desk.running import Running, opened, tokenizer_of
from kaibo.errors import KaiboError
from kaibo.uncertainty.intervals import Interval, mean_interval
from kaibo.version import __version__
from kaibo.vocabulary import Finding
from kaibo.vocabulary.running import QuantisedRow

WIDTHS: dict[str, Running] = {
    "bf16": Running(dtype="bfloat16"),  # first: the others are compared with it
    "f32": Running(dtype="float32"),
    "int8": Running(dtype="bfloat16", bits=8),
    "nf4": Running(dtype="bfloat16", bits=4),
}
LONGEST = 2048
NOTES = (
    "Memory is what the weights take once loaded, scales included; 8 and 4 bit leave embedding and head as they are.",
    "The cost is nats per token more than bf16 over the same windows, with Student's 95 % interval over windows.",
    "8 and 4 bit compute in bfloat16. bitsandbytes may repack 4-bit weights in place at their first use on a CPU.",
)

Nats = NDArray[np.float32]


def quantise(
    model: Address,
    text: str | os.PathLike[str] | None = None,
    *,
    windows: int = 16,
    device: str = "cpu",
    progress: Progress = quiet,
) -> Finding[QuantisedRow]:
    """Memory and perplexity of a model as float32, bfloat16, 8 bit (LLM.int8) and 4 bit (NF4), on one text.

    A width that this machine cannot load is a row with its reason. `text` is a UTF-8 file; without one, the Python
    documentation that ships with CPython is read. Raises whatever opening the model raises for bf16 itself.
    """
    words = own_text() if text is None else read_text(Path(text))
    measured: dict[str, tuple[int, float, Nats]] = {}
    failed: dict[str, KaiboError] = {}
    for width, running in WIDTHS.items():
        try:
            measured[width] = _measure(model, words, windows, replace(running, device=device), progress)
        except KaiboError as problem:
            if width == "bf16":
                raise
            failed[width] = problem
    address = os.fspath(model)
    reference = measured["bf16"][2]
    rows = [
        _row(address, width, *measured[width], reference)
        if width in measured
        else _absent(address, width, failed[width])
        for width in ("f32", "bf16", "int8", "nf4")
    ]
    notes = (*NOTES, *(f"{width} could not be measured: {problem.line}" for width, problem in failed.items()))
    return Finding(QUANTISE, tuple(rows), notes, {"kaibo": __version__, "models": {address: None}})


def _measure(model: Address, text: str, windows: int, running: Running, progress: Progress) -> tuple[int, float, Nats]:
    """Bytes of the weights, seconds of the scoring, nats (windows, length − 1); the model is gone afterwards."""
    from kaibo.llama.engines.quantised import weight_bytes
    from kaibo.llama.reading import window_nats, windows_of

    causal = opened(model, running)
    size = weight_bytes(causal.runs.model)
    length = min(causal.context or LONGEST, LONGEST)
    chosen = windows_of(tokenizer_of(causal).encode(text), length, windows)
    progress.begin(f"{running.bits or running.dtype}", chosen.size)
    started = time.perf_counter()
    nats = window_nats(causal, chosen, progress.advance)
    return size, time.perf_counter() - started, nats


def _row(model: str, width: str, size: int, seconds: float, nats: Nats, reference: Nats) -> QuantisedRow:
    wide = nats.astype(np.float64)
    apart = wide.mean(1) - reference.astype(np.float64).mean(1)
    cost = Interval(0.0, 0.0, 0.0) if width == "bf16" else mean_interval(apart)
    ppl = math.exp(min(float(wide.mean()), 700.0))
    return QuantisedRow(model, width, size, nats.size, ppl, cost.mean, cost.low, cost.high, seconds)


def _absent(model: str, width: str, problem: KaiboError) -> QuantisedRow:
    why = dict.fromkeys(("ppl", "cost", "cost_low", "cost_high", "seconds"), problem.line)
    nan = math.nan
    return QuantisedRow(model, width, None, None, nan, nan, nan, nan, nan, why)
