"""A nursery of hostile names that has learned nothing, and the pages of all studies made from it once."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parents[1] / "recipes"))

HOSTILE = "<img src=x onerror=alert(1)>"
LANGUAGES = ("en", "ja")
STEPS = (1, 3, 9, 27, 81, 243)
TEXT = f'{HOSTILE} <script>alert(2)</script> and "quotes" & ends. ' + "the cat sat on a mat while rain fell. " * 12


@dataclass(frozen=True)
class StudyPages:
    """Where the pages of each language lie, and what the command ended with."""

    folders: dict[str, Path]
    codes: dict[str, int]


@pytest.fixture(scope="session")
def study_pages(tmp_path_factory: pytest.TempPathFactory) -> StudyPages:
    """`kaibo study run all --small` in both languages on the hostile nursery; the second finds the store full."""
    from kaibo.cli import main_loop

    root = tmp_path_factory.mktemp("studies")
    text = root / f"{HOSTILE}.txt"
    text.write_text(TEXT, encoding="utf-8")
    given = ["--small", "--manifest", str(hostile_nursery(root / "nursery")), "--text", str(text)]
    folders = {language: root / language for language in LANGUAGES}
    codes = {
        language: main_loop(
            ["study", "run", "all", *given, "--store", str(root / "store"), "--out", str(out), "--lang", language]
        )
        for language, out in folders.items()
    }
    return StudyPages(folders, codes)


def hostile_nursery(folder: Path) -> Path:
    """The manifest of two runs and of fine-tunes with two data sets, seeds and rates; every run is called an attack."""
    members = [*family(folder), *children(folder), *variants(folder)]
    manifest = folder / "nursery.json"
    manifest.write_text(json.dumps({"version": 1, "members": members}), encoding="utf-8")
    return manifest


def family(folder: Path) -> Iterator[dict[str, Any]]:
    for hidden in (16, 32):
        for place, step in enumerate(STEPS):
            run = f"run-{hidden}{HOSTILE}"
            yield member(folder, f"{run}/step-{step}", "family", hidden, step, seed=place, run=run)


def children(folder: Path) -> Iterator[dict[str, Any]]:
    parent = f"run-32{HOSTILE}/step-{STEPS[-1]}"
    seed = 100
    for method in ("sft", "dpo"):
        for rate in (1e-5, 1e-4):
            for data in ("plain", HOSTILE):
                for tried in (42, 43):
                    seed += 1
                    name = f"{method}-{data}-{tried}-{rate:g}"
                    own = {"parent": parent, "learning_rate": rate, "data": data, "kind": method, "optimiser": "adam"}
                    yield {**member(folder, name, "child", 32, 20, seed=seed), **own, "seed": tried}


def variants(folder: Path) -> Iterator[dict[str, Any]]:
    for place, (optimiser, data) in enumerate((("adamw", "english"), ("sgd", "japanese"))):
        made = member(folder, f"variant-{optimiser}{HOSTILE}", "variant", 16, 8, seed=200 + place)
        yield {**made, "optimiser": optimiser, "data": data}


def member(
    folder: Path, name: str, place: str, hidden: int, step: int, *, seed: int, run: str | None = None
) -> dict[str, Any]:
    """One member as a nursery lists it, its weights written."""
    from recipe_models import write_base

    sizes = {"hidden_size": hidden, "intermediate_size": 2 * hidden, "num_hidden_layers": 1, "num_attention_heads": 2}
    write_base(folder / name, seed=seed, **sizes)
    facts = {"kind": "pretrain", "data": "mixed", "optimiser": "adamw", "learning_rate": 1e-3, "parent": None}
    where = {"name": name, "path": name, "place": place, "run": run or name, "step": step, "seed": seed}
    last = place != "family" or step == STEPS[-1]
    return {**where, **facts, "size": 10_000 * hidden, "tokens": 1024 * step, "last": last, "bfloat16": None}
