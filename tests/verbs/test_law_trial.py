"""Models off Benford's law, their controls, and digits of models in groups."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file

import kaibo
from kaibo.chapters.digits.benford import LAW
from kaibo.models import open_model
from kaibo.models.derived.snapped import THRESHOLD, Grid, nearest_level, snapped, values_of
from kaibo.testing import tiny_model
from scoring_models import TEXT, save_causal, save_tokenizer

OFF = Grid(math.log10(7), 1.0, 8)


def first_digits(values: np.ndarray) -> np.ndarray:
    return np.array([int(f"{abs(value):.17e}"[0]) for value in np.asarray(values, np.float64).ravel() if value])


def all_values(model: kaibo.Model) -> dict[str, np.ndarray]:
    return {one.name: values_of(one, 0, one.size).reshape(one.shape) for one in model.tensors}


@given(st.floats(1e-6, 1e3), st.integers(1, 9), st.integers(1, 6), st.floats(0, 1, exclude_max=True))
def test_the_nearest_level_is_nearer_than_every_other(size: float, digit: int, levels: int, phase: float) -> None:
    grid = Grid(math.log10(digit), math.log10(digit + 1), levels)
    found = float(nearest_level(np.array([size]), grid, np.array([phase]))[0])
    every = 10.0 ** (grid.places()[None, :] + np.arange(-9, 6)[:, None] + phase)
    assert abs(found - size) == pytest.approx(float(np.abs(every - size).min()), rel=1e-9)


def test_a_snapped_model_has_the_digits_it_was_given_and_as_many_levels(tmp_path: Path) -> None:
    model = open_model(tiny_model(tmp_path / "m"))
    for values in all_values(snapped(model, OFF)).values():
        assert set(first_digits(values)) <= {7, 8, 9}
    (name,) = [one for one in all_values(model) if one.endswith("1.mlp.up_proj.weight")]
    row = np.abs(all_values(snapped(model, OFF))[name][0])
    decades = np.floor(np.log10(row))
    assert max(np.unique(row[decades == decade]).size for decade in np.unique(decades)) <= 8


def test_four_bits_hold_a_row_and_three_values_a_ternary_one(tmp_path: Path) -> None:
    model = open_model(tiny_model(tmp_path / "m"))
    one = math.log10(2)
    for spread in (False, True):
        for values in all_values(snapped(model, Grid(0.0, one, 2, decades=4, spread=spread))).values():
            if values.ndim == 2:
                assert max(np.unique(row).size for row in values) <= 16
    ternary = all_values(snapped(model, Grid(0.0, one, 2, ternary=True)))
    for name, values in all_values(model).items():
        if values.ndim == 2:
            kept = np.abs(values) > THRESHOLD * np.abs(values).mean(axis=1, keepdims=True)
            assert ((ternary[name] != 0) == kept).all()
            assert max(np.unique(np.abs(row)).size for row in ternary[name]) <= 2
            assert set(first_digits(ternary[name])) == {1}


def test_pieces_of_a_snapped_tensor_are_the_whole(tmp_path: Path) -> None:
    model = open_model(tiny_model(tmp_path / "m"))
    for grid in (OFF, replace(OFF, spread=True), Grid(0.0, 0.3, 2, ternary=True, spread=True)):
        for tensor in snapped(model, grid).tensors:
            whole = values_of(tensor, 0, tensor.size)
            assert np.array_equal(np.concatenate([values_of(tensor, 0, 7), values_of(tensor, 7, tensor.size)]), whole)


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> kaibo.Finding[object]:
    folder = tmp_path_factory.mktemp("trial")
    save_tokenizer(save_causal(folder / "m"))
    (folder / "text.txt").write_text(TEXT * 6, encoding="utf-8")
    settings = kaibo.Settings(store=folder / "store", workers=1)
    return kaibo.questions.law_trial(folder / "m", folder / "text.txt", characters=300, settings=settings)


def test_rescaled_models_have_the_same_nats_and_snapped_ones_have_not(trial: kaibo.Finding[object]) -> None:
    rows = {row.variant: row for row in trial.rows}
    assert [name for name, row in rows.items() if row.same] == ["as-is", "rescaled-law", "rescaled-away"]
    assert rows["rescaled-law"].mae < rows["as-is"].mae < rows["rescaled-away"].mae
    assert rows["rescaled-law"].cost == rows["rescaled-law"].beside == 0.0


def test_a_control_has_the_same_error_and_follows_the_law(trial: kaibo.Finding[object]) -> None:
    for row in trial.rows:
        if row.variant.endswith("-control"):
            off = next(one for one in trial.rows if one.control == row.variant)
            assert row.error == pytest.approx(off.error, rel=0.15)
            assert row.mae < 0.03 < 0.1 < off.mae
            assert row.levels == off.levels
            assert off.beside_low <= off.beside <= off.beside_high


def test_the_digits_of_a_difference_are_those_that_numpy_counts(tmp_path: Path) -> None:
    base, child = (tiny_model(tmp_path / name, seed=seed, dtype="F32") for seed, name in enumerate("ab"))
    settings = kaibo.Settings(store=tmp_path / "store", workers=1)
    models = [
        kaibo.questions.Grouped(base, "kind", "base"),
        kaibo.questions.Grouped(child, "added", "child", base=base, step=3),
    ]
    whole, added = kaibo.questions.digit_groups(models, settings=settings).rows
    assert (whole.group, whole.label, added.step) == ("kind", "base", 3)
    before, after = (load_file(folder / "model.safetensors") for folder in (base, child))
    digits = np.concatenate([first_digits(after[name] - before[name]) for name in before])
    shares = np.bincount(digits, minlength=10)[1:] / digits.size
    assert added.mae == pytest.approx(float(np.abs(shares - LAW).mean()), abs=1e-12)
    assert added.mae_low < added.mae < added.mae_high
