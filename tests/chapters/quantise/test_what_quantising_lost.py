"""What quantising lost: the errors by their definition, beside the floor of rounding the base once."""

from __future__ import annotations

import json
from pathlib import Path

import gguf
import numpy as np
import pytest

import kaibo
from kaibo.chapters.quantise.loss import losses, lost
from kaibo.chapters.quantise.rows import LossRow
from kaibo.cli import main_loop
from kaibo.collect import Options
from kaibo.vocabulary import By
from planted import DOWN, trained, written


def rows(base: Path, packed: Path, by: By, tmp_path: Path) -> tuple[LossRow, ...]:
    (one,) = kaibo.diff(base, packed, settings=kaibo.Settings(store=tmp_path / "store")).compared
    return lost([(str(base), str(packed), loss) for loss in losses(one.pairing, Options(workers=1))], by).rows


@pytest.mark.parametrize(("packing", "levels"), [("Q8_0", 127), ("Q4_0", 8)])
def test_errors_are_those_of_the_packages_own_decoding(packing: str, levels: int, tmp_path: Path) -> None:
    planted = trained("mistral")
    base, packed = (written(planted, tmp_path / name, how) for name, how in (("a", "F32"), ("b", packing)))
    found = {row.key: row for row in rows(base, packed, "tensor", tmp_path)}
    values = planted.values[DOWN].astype(np.float64)
    kind = gguf.GGMLQuantizationType[packing]
    less = gguf.quants.dequantize(gguf.quants.quantize(values.astype(np.float32), kind), kind) - values
    row = found[DOWN.removeprefix("model.")]
    assert row.packing == f"{packing} blocks"
    assert row.relative == pytest.approx(np.linalg.norm(less) / np.linalg.norm(values), rel=1e-4)
    runs = values.reshape(-1, 32)
    steps = np.abs(runs).max(1, keepdims=True) / levels
    assert row.resolution == pytest.approx(np.sqrt(((less.reshape(-1, 32) / steps) ** 2).mean()), rel=2e-3)
    worst = np.linalg.norm(less, axis=1) / np.linalg.norm(values, axis=1)
    assert row.worst == pytest.approx(worst.max(), rel=1e-4)
    assert row.channel.endswith(f"[{worst.argmax()}]")
    assert row.rounded_once is not None
    assert row.relative is not None
    assert 0.9 * row.relative < row.rounded_once < 1.1 * row.relative


def test_parts_add_up_to_the_whole_and_a_mix_has_a_row_for_each_type(tmp_path: Path) -> None:
    planted = trained("mistral")
    base, packed = (written(planted, tmp_path / name, how) for name, how in (("a", "F32"), ("b", "Q4_0")))
    (whole,) = rows(base, packed, "model", tmp_path)
    parts = rows(base, packed, "role", tmp_path)
    assert whole.n == sum(part.n for part in parts)
    assert whole.tensors == sum(part.tensors for part in parts)
    assert whole.worst == max(part.worst or 0 for part in parts)


def test_a_base_that_is_packed_in_itself_lost_nothing_and_plain_models_have_no_rows(tmp_path: Path) -> None:
    a, b = (written(trained(), tmp_path / name, "BF16") for name in "ab")
    assert rows(a, b, "model", tmp_path) == ()


def test_diff_says_what_quantising_lost(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    planted = trained("mistral")
    base, packed = (written(planted, tmp_path / name, how) for name, how in (("a", "F32"), ("b", "Q8_0")))
    assert main_loop(["diff", str(base), str(packed), "--json", "--store", str(tmp_path / "store")]) == 0
    (row,) = json.loads(capsys.readouterr().out)["loss"]
    assert 0 < row["rounded_once"] < 0.02
