"""`kaibo trends` on real checkpoints of two runs: names, nothing scored twice, wrong calls, the page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kaibo.testing import tiny_model

STEPS = (0, 10, 20, 40, 60, 80, 100)
NAMES = {"model", "start", "checkpoints", "tokens", "shares", "shares_uncorrected"}
CLASSES = {"upward", "downward", "stagnated", "undecided"}
LISTS = {"followed", "containment", "descent", "size", "pairs", "passages"}


def save_run(folder: Path, seed: int, steps: tuple[int, ...] = STEPS) -> Path:
    """Checkpoints on the straight line between two random models of one tokenizer."""
    from safetensors.numpy import load_file, save_file

    from scoring_models import save_causal

    made = [save_causal(folder.parent / f".{folder.name}-{place}", seed=seed + place) for place in (0, 1)]
    ends = [load_file(one / "model.safetensors") for one in made]
    for step in steps:
        place = folder / f"step-{step}"
        place.mkdir(parents=True)
        for file in made[0].iterdir():
            if file.suffix == ".json":
                (place / file.name).write_bytes(file.read_bytes())
        mixed = {name: (ends[0][name] + np.float32(step / 100) * (ends[1][name] - ends[0][name])) for name in ends[0]}
        save_file(mixed, place / "model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    save_run(folder / "a", 0)
    save_run(folder / "b", 10)
    from scoring_models import TEXT

    (folder / "text.txt").write_text(TEXT * 3, encoding="utf-8")
    return folder


def asked(runs: Path, *more: str) -> list[str]:
    text = ("--text", str(runs / "text.txt"), "--store", str(runs / "store"))
    return ["trends", str(runs / "a"), str(runs / "b"), *text, *more]


def test_results_hold_the_promised_names_and_nothing_is_scored_twice(
    kaibo: Any, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = kaibo(*asked(runs, "--start", "0.1,0.5", "--batch-tokens", "512", "--against", "flops", "--json"))
    assert first.code == 0, first.err
    document = first.document
    assert set(document) >= LISTS
    for row in document["results"]:
        assert set(row) >= NAMES
        assert set(row["shares"]) == set(row["shares_uncorrected"]) == CLASSES
    assert [(row["model"], row["start"], row["checkpoints"]) for row in document["results"]] == [
        ("a", 0.1, 6), ("a", 0.5, 3), ("b", 0.1, 6), ("b", 0.5, 3)
    ]  # fmt: skip
    assert document["results"][0]["trained"] == 5120
    assert document["results"][0]["flops"] == 6 * document["results"][0]["parameters"] * 5120
    assert any("a: 1 checkpoints are left out" in note for note in document["warnings"])

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("a model was opened to score")

    monkeypatch.setattr("kaibo.scoring.causal.Causal", never)
    again = kaibo(*asked(runs, "--start", "0.1,0.5", "--batch-tokens", "512", "--against", "flops", "--json"))
    assert again.out == first.out


def test_the_matrix_is_what_score_says_of_each_checkpoint(kaibo: Any, runs: Path) -> None:
    document = kaibo(*asked(runs, "--json")).document
    where = ("--text", str(runs / "text.txt"), "--store", str(runs / "store"), "--json")
    said = kaibo("score", str(runs / "a" / "step-10"), str(runs / "a" / "step-100"), *where).document["results"]
    row = document["results"][0]
    assert [row["ppl"], row["last_ppl"]] == pytest.approx([one["ppl"] for one in said])
    assert row["tokens"] == said[0]["tokens"]


def test_a_manifest_says_how_many_tokens_were_read(kaibo: Any, runs: Path) -> None:
    members = [
        {"path": f"{run}/step-{step}", "bfloat16": None, "tokens": 1000 * step} for run in "ab" for step in STEPS
    ]
    (runs / "nursery.json").write_text(json.dumps({"version": 1, "members": members}))
    row = kaibo(*asked(runs, "--json")).document["results"][0]
    assert row["trained"] == 10_000
    (runs / "nursery.json").write_text("[]")
    broken = kaibo(*asked(runs, "--json"))
    assert broken.code == 3
    (runs / "nursery.json").unlink()


def test_checkpoints_named_one_by_one_are_a_run(kaibo: Any, runs: Path) -> None:
    named = [str(runs / "a" / f"step-{step}") for step in STEPS[1:]]
    text = ("--text", str(runs / "text.txt"), "--store", str(runs / "store"))
    rows = kaibo("trends", *named, *text, "--start", "0.1", "--json").document["results"]
    assert [(row["model"], row["checkpoints"]) for row in rows] == [("a", 6)]


def test_the_page_and_the_tables_are_written(kaibo: Any, runs: Path, tmp_path: Path) -> None:
    out = tmp_path / "page"
    ran = kaibo(*asked(runs, "--out", str(out), "--lang", "ja", "--table", str(out / "t" / "shares.csv")))
    assert ran.code == 0, ran.err
    assert {"trends.html", "trends.csv", "trends-shares.svg", "trends-shares.png"} <= {p.name for p in out.iterdir()}
    assert "学習中（下降）" in (out / "trends.html").read_text("utf-8")
    assert (out / "t" / "shares.csv").read_text().startswith("model,start,")


@pytest.mark.parametrize(
    ("more", "code"),
    [
        (["--start", "soon"], 2),
        (["--start", "1.5"], 2),
        (["--start", ""], 2),
        (["--against", "weather"], 2),
        (["--against", "flops"], 2),
        (["--follow", "a"], 2),
        (["--follow", "a:sideways"], 2),
        (["--follow", "c:upward"], 2),
        (["--sample", "0"], 2),
        (["--smooth", "1"], 2),
        (["--batch-tokens", "many"], 2),
        (["--batch-tokens", "1,2,3"], 2),
        (["--batch-tokens", "-1"], 2),
        (["--batch-tokens", "inf"], 2),
        (["--passages", "-1"], 2),
        (["--window", "4096"], 2),
        (["--text", "nowhere.txt"], 4),
        (["--table", "t.xlsx"], 2),
        (["--lang", "tlh"], 2),
    ],
)
def test_a_wrong_call_is_one_line_with_its_code(kaibo: Any, runs: Path, more: list[str], code: int) -> None:
    ran = kaibo(*asked(runs, *more, "--json"))
    assert ran.code == code, (ran.out, ran.err)
    (error,) = ran.document["errors"]
    assert error["exit"] == code
    assert len(ran.lines) == 1


def test_what_is_no_series_is_said(kaibo: Any, runs: Path, tmp_path: Path) -> None:
    text = ("--text", str(runs / "text.txt"), "--store", str(runs / "store"), "--json")
    (tmp_path / "empty").mkdir()
    tiny_model(tmp_path / "weights" / "model")
    for named in ("nowhere", "empty", "weights"):
        ran = kaibo("trends", named, *text)
        assert ran.code == 4, (named, ran.err)
        assert len(ran.lines) == 1


def test_a_broken_checkpoint_is_reported_and_the_others_go_on(kaibo: Any, runs: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(runs / "a", tmp_path / "a")
    (tmp_path / "a" / "step-40" / "model.safetensors").write_bytes(b"\0" * 12)
    text = ("--text", str(runs / "text.txt"), "--store", str(runs / "store"), "--start", "0.1", "--json")
    ran = kaibo("trends", str(tmp_path / "a"), *text)
    assert ran.code == 3
    assert ran.document["results"][0]["checkpoints"] == 5
    assert "step-40" in ran.document["errors"][0]["file"]
