"""`kaibo spectrum` and `kaibo diff --spectrum` as scripts and people meet them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kaibo.models import open_model
from kaibo.testing import tiny_model, write_safetensors
from kaibo.testing.models import encode
from kaibo.vocabulary import widen

NAMES = ["model", "tensor", "shape", "spectral_norm", "stable_rank", "entropy_rank", "rank90", "rank99", "alpha"]


def values(folder: Path) -> dict[str, np.ndarray]:
    found = {}
    for tensor in open_model(folder).tensors:
        (chunk,) = tensor.chunks(np.empty(8 * tensor.size, np.uint8))
        found[tensor.canonical] = widen(tensor.dtype.name, chunk).reshape(tensor.shape)
    return found


def write(folder: Path, tensors: dict[str, np.ndarray], dtype: str) -> str:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": "llama"}))
    contents = {name: (dtype, one.shape, encode(dtype, one.astype(np.float32))) for name, one in tensors.items()}
    write_safetensors(folder / "model.safetensors", contents)
    return folder.name


def test_every_number_is_what_numpy_says(kaibo: Any, tiny: str, tmp_path: Path) -> None:
    ran = kaibo("spectrum", tiny, "--json")
    assert ran.code == 0, ran.err
    rows = ran.document["results"]
    stored = values(tmp_path / tiny)
    assert {row["tensor"] for row in rows} == set(stored)
    for row in rows:
        assert set(NAMES) <= set(row)
        if len(stored[row["tensor"]].shape) == 1:
            assert row["spectral_norm"] is None
            assert row["why"]["spectral_norm"] == "a vector, not a matrix"
            continue
        sigma = np.linalg.svd(stored[row["tensor"]], compute_uv=False)
        energy = sigma**2 / (sigma**2).sum()
        assert row["spectral_norm"] == pytest.approx(sigma[0], rel=1e-12)
        assert row["stable_rank"] == pytest.approx((sigma**2).sum() / sigma[0] ** 2, rel=1e-12)
        assert row["entropy_rank"] == pytest.approx(np.exp(-(energy * np.log(energy)).sum()), rel=1e-10)
        assert row["rank90"] == np.searchsorted(np.cumsum(energy), 0.9) + 1


def test_nothing_is_decomposed_twice(kaibo: Any, tiny: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first = kaibo("spectrum", tiny, "--json").document["results"]

    def refuse(*_: object) -> None:
        raise AssertionError("decomposed again")

    monkeypatch.setattr("kaibo.collect.spectra.spectrum_of", refuse)
    assert kaibo("spectrum", tiny, "--json").document["results"] == first
    assert kaibo("spectrum", tiny, "--json", "--workers", "3").document["results"] == first


@pytest.mark.parametrize("by", ["role", "layer", "model"])
def test_levels_gather_the_matrices(kaibo: Any, tiny: str, by: str) -> None:
    rows = kaibo("spectrum", tiny, "--by", by, "--json").document["results"]
    assert sum(row["matrices"] for row in rows) == 16
    assert all(set(NAMES) <= set(row) and row["by"] == by for row in rows)


def test_a_pattern_chooses_tensors_and_one_that_fits_none_is_refused(kaibo: Any, tiny: str) -> None:
    rows = kaibo("spectrum", tiny, "--tensors", "*.mlp.up*", "--json").document["results"]
    assert [row["layer"] for row in rows] == [0, 1]
    assert kaibo("spectrum", tiny, "--tensors", "nothing*").code == 2
    assert kaibo("spectrum", tiny, "--by", "head").code == 2


def test_broken_stacked_and_odd_tensors_go_on(kaibo: Any, tmp_path: Path) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    nan = np.full((4, 4), 0x7FC0, np.uint16)
    stack = encode("BF16", np.random.default_rng(0).normal(size=(2, 5, 6)).astype(np.float32))
    contents = {
        "constant": ("BF16", (3, 4), np.full((3, 4), 0x3F80, np.uint16)),
        "empty": ("BF16", (0, 4), b""),
        "experts": ("BF16", (2, 5, 6), stack),
        "nan": ("BF16", (4, 4), nan),
        "one": ("BF16", (1, 1), np.full((1, 1), 0x3F80, np.uint16)),
        "row": ("BF16", (1, 9), np.full((1, 9), 0x3F80, np.uint16)),
    }
    write_safetensors(folder / "model.safetensors", contents)
    ran = kaibo("spectrum", "odd", "--json")
    assert ran.code == 0, ran.err
    rows = {row["key"]: row for row in ran.document["results"]}
    assert rows["constant"]["stable_rank"] == pytest.approx(1)
    assert rows["row"]["spectral_norm"] == pytest.approx(3)
    assert rows["empty"]["why"]["spectral_norm"] == "no values"
    assert rows["nan"]["why"]["alpha"] == "16 of its values are NaN or infinite"
    assert {"experts[0]", "experts[1]"} <= set(rows)
    assert kaibo("spectrum", "odd").code == 0


@pytest.mark.slow
def test_a_folder_gets_the_page_the_figures_and_the_tables(kaibo: Any, tiny: str, tmp_path: Path) -> None:
    ran = kaibo("spectrum", tiny, "--out", "o", "--lang", "ja", "--table", "t.csv", "--tensors", "*.up_proj*")
    assert ran.code == 0, ran.err
    made = {path.name for path in (tmp_path / "o").iterdir()}
    assert {"spectrum.html", "spectrum.csv", "spectrum-alpha.svg", "spectrum-tails-tails.png"} <= made
    assert "有効ランク" in (tmp_path / "o" / "spectrum.html").read_text(encoding="utf-8")
    assert (tmp_path / "t.csv").read_text(encoding="utf-8").count("\n") == 3


@pytest.mark.parametrize("dtype", ["BF16", "F32"])
def test_a_merged_lora_is_recognised_by_its_rank(kaibo: Any, tmp_path: Path, dtype: str) -> None:
    random = np.random.default_rng(0)
    name = "model.layers.0.self_attn.q_proj.weight"
    tiny_model(tmp_path / "base", dtype=dtype, hidden=96, layers=1)
    base = {
        f"model.{key}" if not key.startswith("lm_head") else key: one for key, one in values(tmp_path / "base").items()
    }
    change = random.normal(size=(96, 4)) @ random.normal(size=(4, 96)) * 1e-3
    write(tmp_path / "tuned", base | {name: base[name] + change}, dtype)
    ran = kaibo("diff", "base", "tuned", "--spectrum", "--json")
    assert ran.code == 0, ran.err
    rows = {row["tensor"]: row for row in ran.document["spectra"]}
    found = rows[name.removeprefix("model.")]
    assert (found["rank"], found["low_rank"], found["said"]) == (4, True, "rank 4 (numerically)")
    assert found["spectral_norm"] == pytest.approx(np.linalg.norm(change, 2), rel=0.02)
    assert {row["said"] for key, row in rows.items() if key != found["tensor"]} == {"no change"}
    shown = kaibo("diff", "base", "tuned", "--spectrum", "--out", "found")
    assert "rank 4 (numerically)" in shown.out
    assert {f"diff-spectrum-{name}.svg" for name in ("erank", "rank")} <= {
        path.name for path in Path("found").iterdir()
    }
    assert kaibo("diff", "base", "tuned", "--draw", "spectrum", "--figure", "rank.svg").code == 0
    assert "In how many directions" in Path("rank.svg").read_text(encoding="utf-8")


def test_the_spectrum_of_an_unreadable_model_is_one_error(kaibo: Any, tiny: str) -> None:
    ran = kaibo("spectrum", tiny, "absent", "--json")
    assert ran.code == 4
    assert len(ran.document["errors"]) == 1
    assert ran.document["results"]
    assert kaibo("diff", tiny, "absent", "--spectrum", "--json").document["spectra"] == []


def test_the_store_answers_for_spectra_in_sql_and_forgets_them(kaibo: Any, tiny: str) -> None:
    kaibo("spectrum", tiny)
    asked = "SELECT count(*) AS n, max(sigma[1]) AS top FROM spectra"
    (row,) = kaibo("sql", asked, "--json").document["results"]
    assert row["n"] == 16
    assert row["top"] > 0
    assert kaibo("store", "rm", tiny).code == 0
    assert kaibo("sql", asked, "--json").document["results"][0]["n"] == 0
