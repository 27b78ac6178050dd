"""What share of a model was seen stands in every finding about weights, and too little of it brings no verdict."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kaibo
from kaibo.desk.measuring import Settings
from kaibo.errors import MissingError
from kaibo.testing import write_safetensors

random = np.random.default_rng(0)


def folder(path: Path, weights: int, codes: int) -> Path:
    """A model with so many 16-bit weights, and beside them codes in a packing that nobody knows."""
    path.mkdir()
    tensors: dict[str, Any] = {}
    if weights:
        values = random.standard_normal((weights // 8, 8)).astype(np.float32)
        tensors["model.layers.0.mlp.up_proj.weight"] = ("F32", values.shape, values.view(np.uint32))
    if codes:
        tensors["model.layers.1.mlp.up_proj.weight"] = ("I8", (codes // 8, 8), np.ones(codes, np.uint8))
    write_safetensors(path / "model.safetensors", tensors)
    (path / "config.json").write_text(json.dumps({"quantization_config": {"quant_method": "novel", "bits": 8}}))
    return path


def settings(tmp_path: Path) -> Settings:
    return Settings(store=tmp_path / "store", workers=1)


@pytest.mark.parametrize(("weights", "codes", "judged"), [(1920, 80, True), (1600, 400, False), (2000, 0, True)])
def test_every_row_says_what_it_saw_and_verdicts_need_nine_tenths(
    tmp_path: Path, weights: int, codes: int, judged: bool
) -> None:
    model = folder(tmp_path / "m", weights, codes)
    share = weights / (weights + codes)
    for verb in (kaibo.digits, kaibo.stats):
        found = verb(model, settings=settings(tmp_path))
        assert [row.seen for row in found.rows] == [share]
        assert all(record["seen"] == share for record in found.records())
    found = kaibo.digits(model, settings=settings(tmp_path))
    assert (found.rows[0].conformity is not None) is judged
    assert judged or "80 % of the parameters" in found.rows[0].why["conformity"]
    assert any("no verdict" in note for note in found.notes) is not judged
    assert found.rows[0].n == weights


def test_differences_saw_no_more_than_the_side_of_which_less_was_seen(tmp_path: Path) -> None:
    whole, part = folder(tmp_path / "a", 800, 0), folder(tmp_path / "b", 800, 200)
    found = kaibo.diff(whole, part, settings=settings(tmp_path))
    assert [row.seen for row in found.norms.rows] == [0.8]


def test_spectra_say_it_too(tmp_path: Path) -> None:
    found = kaibo.spectrum(folder(tmp_path / "m", 800, 200), settings=settings(tmp_path))
    assert {row.seen for row in found.matrices.rows} == {0.8}


@pytest.mark.parametrize("verb", [kaibo.digits, kaibo.stats, kaibo.spectrum])
def test_a_file_without_weights_is_said_to_hold_none(tmp_path: Path, verb: Any) -> None:
    """Once the answer was an empty table and exit 0."""
    with pytest.raises(MissingError, match="nothing in it is measurable: it holds 1 tensors of I8"):
        verb(folder(tmp_path / "m", 0, 80), settings=settings(tmp_path))


def test_a_page_of_a_model_that_was_hardly_seen_concludes_nothing(tmp_path: Path) -> None:
    output = kaibo.options.Output(folder=tmp_path / "page")
    found = kaibo.dissect(folder(tmp_path / "m", 800, 200), output=output, settings=settings(tmp_path))
    assert [one["key"] for one in found.record()["findings"]] == ["seen"]
    assert "80 %" in found.sentences[0]
