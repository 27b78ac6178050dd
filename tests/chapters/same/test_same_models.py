"""Two models that hold the same are said to, in every packing; a tensor that was changed is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kaibo
from kaibo.chapters.same.rows import SameRow
from kaibo.chapters.same.tallies import Rounding, by_chance, compared
from planted import COMPARED, FAMILIES, PACKINGS, comparable, trained, written

TABLE = [(d, f, p) for d in COMPARED for f in FAMILIES for p in PACKINGS if comparable(d, f, p)]


def compare(a: Path, b: Path, **asked: Any) -> SameRow:
    (row,) = kaibo.same(a, b, settings=kaibo.Settings(workers=1), **asked).rows
    return row


def assert_named(defect: str, family: str, packing: str, tmp_path: Path) -> None:
    planted = trained(family)
    name = COMPARED[defect](planted)
    row = compare(written(trained(family), tmp_path / "a", "F32"), written(planted, tmp_path / "b", packing))
    assert row.verdict == "different"
    named = {one.name for one in row.tensors if one.verdict == "changed"} | {*row.only_in_a, *row.only_in_b}
    assert any(str(name).removeprefix("model.") in one for one in named), named


@pytest.mark.parametrize("defect", COMPARED)
def test_a_tensor_that_was_changed_is_named(defect: str, tmp_path: Path) -> None:
    if "expert" in defect:
        assert_named(defect, "mixtral", "F8", tmp_path)
    else:
        assert_named(defect, "gemma" if "norm" in defect else "llama", "F8" if defect == "nan" else "Q8_0", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(("defect", "family", "packing"), TABLE)
def test_it_is_named_in_every_family_and_packing(defect: str, family: str, packing: str, tmp_path: Path) -> None:
    assert_named(defect, family, packing, tmp_path)


@pytest.mark.parametrize("packing", PACKINGS)
def test_a_model_is_the_same_in_every_packing(packing: str, tmp_path: Path) -> None:
    row = compare(written(trained(), tmp_path / "a", "F32"), written(trained(), tmp_path / "b", packing))
    assert row.verdict == "same"
    assert row.n_changed == 0
    assert {one.verdict for one in row.tensors} <= {"identical", "within"}
    if packing != "F32":
        assert row.inside == 1.0
        assert row.expected_inside is not None
        assert row.expected_inside < 0.2


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("before", ["F32", "BF16", "F16"])
@pytest.mark.parametrize("packing", PACKINGS)
def test_no_packing_of_any_family_raises_a_false_alarm(family: str, before: str, packing: str, tmp_path: Path) -> None:
    if comparable("zero", family, packing):
        for seed in range(2):
            a = written(trained(family, seed), tmp_path / f"a{seed}", before)
            assert compare(a, written(trained(family, seed), tmp_path / f"b{seed}", packing)).verdict == "same"


def test_the_candidate_whose_weights_lie_in_the_cells_was_quantised(tmp_path: Path) -> None:
    quantised = written(trained(seed=2), tmp_path / "q", "Q4_0")
    candidates = [written(trained(seed=seed), tmp_path / f"c{seed}", "BF16") for seed in range(3)]
    found = kaibo.same(quantised, candidates, settings=kaibo.Settings(workers=1))
    assert [row.verdict for row in found.rows] == ["same", "different", "different"]
    assert found.rows[0].b.endswith("c2")
    assert "c2 is the likeliest" in found.notes[0]


def test_a_sample_says_what_it_can_promise(tmp_path: Path) -> None:
    folders = [written(trained(), tmp_path / name, "BF16") for name in "ab"]
    found = kaibo.same(*folders, sample=0.5, settings=kaibo.Settings(workers=1))
    assert found.rows[0].verdict == "same"
    assert "missed with probability" in found.notes[0]
    with pytest.raises(kaibo.KaiboError, match="--sample"):
        kaibo.same(*folders, sample=0.0)


def test_settings_that_contradict_each_other_make_two_models_different(tmp_path: Path) -> None:
    planted = trained()
    a = written(planted, tmp_path / "a", "BF16")
    planted.config["rope_theta"] = 5e5
    b = written(planted, tmp_path / "b", "BF16")
    (a / "config.json").write_text(json.dumps({**json.loads((a / "config.json").read_text()), "rope_theta": 1e4}))
    row = compare(a, b, hashes=True)
    assert row.verdict == "different"
    assert row.n_changed == 0
    assert any(one.contradicts and "RoPE" in one.what for one in row.fields)
    assert len(row.certificate["a"]["files"]["model.safetensors"]["sha256"]) == 64


def test_what_is_equal_by_chance_is_counted_on_unrelated_values() -> None:
    random = np.random.default_rng(0)
    values = random.standard_normal(100_000)
    step = 0.1
    codes = np.round(values / step) * step
    half = np.full(values.size, step / 2)
    expected = step / (2 * np.sqrt(np.pi))  # ∫φ² = 1/(2√π): two independent normal values within one cell
    assert by_chance(values, codes, Rounding(half, half)) == pytest.approx(expected, rel=0.05)
    assert compared(values, values, 7).equal == values.size
    assert compared(values, codes, 7).first == 7


def test_the_certificate_holds_content_hashes_of_both_sides(tmp_path: Path) -> None:
    planted = trained()
    a = written(planted, tmp_path / "a", "BF16")
    zero = COMPARED["zero"](planted)
    held = compare(a, written(planted, tmp_path / "b", "BF16"), hashes=True).certificate["tensors"]
    differing = {name for name, sides in held.items() if sides["a"] != sides["b"]}
    assert len(held) == len(planted.values)
    assert differing == {str(zero).removeprefix("model.")}
