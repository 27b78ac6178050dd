"""The experts of a mixture: alike ones are named, each in a tensor of its own or stacked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import kaibo
from kaibo.chapters.stats.ask import experts
from kaibo.chapters.stats.rows import ExpertRow
from planted import Planted, Values, copied_expert, trained, written

SETTINGS = kaibo.Settings(workers=1)


def row_of(folder: Path, layer: int, expert: int) -> ExpertRow:
    return next(row for row in experts(folder, settings=SETTINGS).rows if (row.layer, row.expert) == (layer, expert))


def together(values: Values, expert: int) -> np.ndarray:
    stem = f"model.layers.1.block_sparse_moe.experts.{expert}"
    return np.concatenate([values[f"{stem}.{part}.weight"].reshape(-1) for part in ("w1", "w2", "w3")])


def test_sizes_cosines_and_router_rows_are_those_of_the_weights(tmp_path: Path) -> None:
    planted = trained("mixtral")
    row = row_of(written(planted, tmp_path, "F32"), 1, 2)
    at = "model.layers.1.block_sparse_moe."
    wide = np.array([together(planted.values, expert) for expert in range(4)], np.float64)
    norms = np.linalg.norm(wide, axis=1)
    cosines = (wide @ wide.T) / norms / norms[:, None]
    others = [0, 1, 3]
    assert row.n == wide.shape[1]
    assert row.rms == pytest.approx(np.sqrt((wide[2] ** 2).mean()))
    assert row.closest == max(others, key=lambda other: abs(cosines[2, other]))
    assert row.similarity == pytest.approx(cosines[2, row.closest])
    assert row.mean_similarity == pytest.approx(cosines[2, others].mean())
    assert row.router == pytest.approx(np.linalg.norm(planted.values[f"{at}gate.weight"][2].astype(np.float64)))


def test_a_copied_expert_is_most_like_its_original(tmp_path: Path) -> None:
    planted = trained("mixtral")
    copied_expert(planted)
    row = row_of(written(planted, tmp_path, "BF16"), 1, 3)
    assert (row.closest, row.similarity) == (0, pytest.approx(1.0))


def test_stacked_experts_are_read_as_those_that_lie_apart(tmp_path: Path) -> None:
    planted = trained("mixtral")
    plain = row_of(written(planted, tmp_path / "apart", "F32"), 1, 2)
    values = {name: one for name, one in planted.values.items() if "block_sparse_moe" not in name}
    for layer in range(3):
        at, to = f"model.layers.{layer}.block_sparse_moe.", f"model.layers.{layer}.mlp."
        held = planted.values
        of = {part: [held[f"{at}experts.{one}.{part}.weight"] for one in range(4)] for part in ("w1", "w2", "w3")}
        values[f"{to}gate.weight"] = planted.values[f"{at}gate.weight"]
        values[f"{to}experts.gate_up_proj"] = np.concatenate([np.stack(of["w1"]), np.stack(of["w3"])], axis=1)
        values[f"{to}experts.down_proj"] = np.stack(of["w2"])
    stacked = row_of(written(Planted(values, planted.config), tmp_path / "stacked", "F32"), 1, 2)
    assert stacked.n == plain.n
    assert stacked.closest == plain.closest
    assert (stacked.rms, stacked.similarity) == (pytest.approx(plain.rms), pytest.approx(plain.similarity))
    assert stacked.router == plain.router


def test_packed_experts_are_read_as_what_they_stand_for(tmp_path: Path) -> None:
    plain, packed = (row_of(written(trained("mixtral"), tmp_path / how, how), 0, 1) for how in ("F32", "F8"))
    assert packed.rms == pytest.approx(plain.rms, rel=0.01)


def test_a_model_without_experts_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(kaibo.KaiboError, match="no experts"):
        experts(written(trained(), tmp_path), settings=SETTINGS)
