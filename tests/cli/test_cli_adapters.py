from __future__ import annotations

import math
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from conftest import Run
from made import Made

pytest.importorskip("peft")
ml_dtypes = pytest.importorskip("ml_dtypes")


def at(folder: Path) -> str:
    return os.path.relpath(folder)


def weights(folder: Path) -> dict[str, np.ndarray]:
    return {name: array.astype(np.float64) for name, array in load_file(folder / "model.safetensors").items()}


def update(folder: Path, scale: float) -> dict[str, np.ndarray]:
    """s·B·A of every module in float64, by the name of its weight."""
    stored = load_file(folder / "adapter_model.safetensors")
    found = {}
    for name in stored:
        if name.endswith("lora_A.weight"):
            outer = stored[name.replace("lora_A", "lora_B")].astype(np.float64)
            weight = name.removeprefix("base_model.model.").replace("lora_A.weight", "weight")
            found[weight] = scale * outer @ stored[name].astype(np.float64)
    return found


def only(rows: list[dict[str, Any]]) -> dict[str, Any]:
    assert len(rows) == 1
    return rows[0]


def test_an_adapter_alone_says_what_it_is(kaibo: Run, made: Made) -> None:
    ran = kaibo("inspect", at(made.adapter("lora")), "--json")
    assert ran.code == 0
    found = only(ran.document["results"])
    stored = load_file(made.adapter("lora") / "adapter_model.safetensors")
    assert (found["family"], found["parameters"]) == ("adapter", sum(array.size for array in stored.values()))
    assert any(f"adapter, rank 4, base {made.base('float32')}" in note for note in ran.document["warnings"])
    assert "adapter, rank 4, base" in kaibo("inspect", at(made.adapter("lora"))).out


@pytest.mark.parametrize("command", ["census", "digits", "stats"])
def test_the_stored_factors_are_measured_without_a_base(kaibo: Run, made: Made, command: str) -> None:
    ran = kaibo(command, at(made.adapter("lora")), "--json")
    stored = load_file(made.adapter("lora") / "adapter_model.safetensors")
    total = sum(array.size for array in stored.values())
    assert ran.code == 0
    assert only(ran.document["results"])["values" if command == "census" else "n"] == total


@pytest.mark.parametrize(("kind", "scale"), [("lora", 2.0), ("rslora", 4.0)])
def test_the_difference_is_the_update_and_nothing_else(kaibo: Run, made: Made, kind: str, scale: float) -> None:
    """Against numpy in float64; each value of ΔW was rounded to float32 once."""
    base, deltas = weights(made.base("bf16")), update(made.adapter(kind), scale)
    ran = kaibo("diff", at(made.base("bf16")), at(made.adapter(kind)), "--json", "--by", "tensor")
    assert ran.code == 0
    assert {row["key"]: row["l2"] for row in ran.document["results"] if row["l2"]}.keys() == {
        name.removeprefix("model.") for name in deltas
    }
    for row in ran.document["results"]:
        delta = deltas.get(f"model.{row['key']}", np.zeros(1))
        original = base.get(f"model.{row['key']}", base.get(row["key"]))
        assert math.isclose(row["l1"], np.abs(delta).sum(), rel_tol=1e-6, abs_tol=0)
        assert math.isclose(row["l2"], np.linalg.norm(delta), rel_tol=1e-6, abs_tol=0)
        assert math.isclose(row["linf"], np.abs(delta).max(), rel_tol=1e-6, abs_tol=0)
        assert row["l0"] == np.count_nonzero(delta)
        moved = original + delta.astype(np.float32).astype(np.float64)
        cosine = (original * moved).sum() / np.linalg.norm(original) / np.linalg.norm(moved)
        assert math.isclose(row["cosine"], cosine, rel_tol=1e-11)
        assert row["changed"] == np.count_nonzero(delta) / original.size


@pytest.mark.parametrize("kind", ["lora", "dora"])
def test_the_difference_to_the_merged_model_is_the_same_within_its_rounding(kaibo: Run, made: Made, kind: str) -> None:
    """PEFT's merge rounds W + ΔW to float32: an error of at most half a unit in the last place of each weight."""
    base, adapter = made.base("float32"), made.adapter(kind)
    merged = made.merged(adapter)
    ran = kaibo("diff", at(base), at(adapter), at(merged), "--json", "--storing", "")
    assert ran.code == 0
    ours, theirs = ran.document["results"]
    stored = load_file(merged / "model.safetensors").values()
    rounding = math.sqrt(sum(float((np.spacing(np.abs(array)).astype(np.float64) ** 2).sum()) for array in stored))
    between = only(ran.document["pairs"])
    assert abs(ours["l2"] - theirs["l2"]) <= rounding
    assert 0 < between["l2"] <= 2 * rounding
    assert between["l2"] < 1e-4 * ours["l2"]


def test_what_storing_would_do_is_what_storing_does(kaibo: Run, made: Made) -> None:
    """The stored model is made with ml_dtypes from the float64 sum, then compared entry by entry."""
    base, deltas = weights(made.base("bf16")), update(made.adapter("lora"), 2.0)
    ran = kaibo("diff", at(made.base("bf16")), at(made.adapter("lora")), "--json", "--storing", "bf16,f16")
    for row, type_ in zip(ran.document["storing"], (ml_dtypes.bfloat16, np.float16), strict=True):
        moved = deleted = 0
        error = square = 0.0
        for name, delta in deltas.items():
            exact = delta.astype(np.float32).astype(np.float64)
            stored = (base[name] + exact).astype(type_).astype(np.float64)
            moved += np.count_nonzero(exact)
            deleted += int(((stored == base[name].astype(type_).astype(np.float64)) & (exact != 0)).sum())
            error += float(((stored - base[name] - exact) ** 2).sum())
            square += float((exact**2).sum())
        assert (row["moved"], row["deleted"]) == (moved, deleted / moved)
        assert math.isclose(row["relative_error"], math.sqrt(error / square), rel_tol=1e-9)


def test_rank_and_norm_stand_beside_what_was_counted(kaibo: Run, made: Made) -> None:
    ran = kaibo("diff", at(made.base()), at(made.adapter("lora")), "--json", "--by", "tensor")
    deltas = update(made.adapter("lora"), 2.0)
    assert len(ran.document["adapters"]) == len(deltas)
    for row in ran.document["adapters"]:
        delta = deltas[f"model.{row['key']}"]
        assert row["rank"] == row["lowest"] == np.linalg.matrix_rank(delta)
        assert math.isclose(row["l2"], np.linalg.norm(delta), rel_tol=1e-9)
        assert math.isclose(row["l2"], row["streamed"], rel_tol=1e-6)


def test_two_adapters_overlap_as_their_spaces_do(kaibo: Run, made: Made) -> None:
    from scipy.linalg import orth, subspace_angles

    one, other = made.adapter("rslora", 1), made.adapter("rslora", 2)
    ran = kaibo("diff", at(made.base()), at(one), at(other), "--json", "--by", "tensor", "--storing", "")
    a, b = update(one, 4.0), update(other, 4.0)
    assert len(ran.document["overlaps"]) == len(a)
    for row in ran.document["overlaps"]:
        left, right = (orth(found[f"model.{row['key']}"], rcond=1e-9) for found in (a, b))
        cosines = np.cos(subspace_angles(left, right))
        assert math.isclose(row["outputs"], float((cosines**2).mean()), rel_tol=1e-6)
        assert row["outputs_by_chance"] == 4 / left.shape[0]


def test_the_resolution_of_a_grid_is_that_of_the_base_alone(kaibo: Run, made: Made) -> None:
    import torch
    from bitsandbytes.functional import dequantize_4bit, quantize_4bit

    ran = kaibo("diff", at(made.base()), at(made.tuned()), "--json", "--quantised", "nf4,int8")
    row = ran.document["quantised"][0]
    base, tuned = weights(made.base()), weights(made.tuned())
    l1 = square = delta = 0.0
    for name, values in base.items():
        if values.ndim == 2 and "embed" not in name and "lm_head" not in name:
            # In one row: bitsandbytes' CPU kernel misplaces the scales of rows that are no whole number of blocks.
            narrow = torch.from_numpy(values.astype(np.float32)).reshape(1, -1)
            back = dequantize_4bit(*quantize_4bit(narrow, blocksize=64, quant_type="nf4")).numpy().astype(np.float64)
            back = back.reshape(values.shape)
            l1, square = l1 + np.abs(back - values).sum(), square + ((back - values) ** 2).sum()
            delta += ((tuned[name] - values) ** 2).sum()
    assert row["grid"] == "nf4"
    assert math.isclose(row["rounding_l1"], l1, rel_tol=1e-9)
    assert math.isclose(row["rounding_l2"], math.sqrt(square), rel_tol=1e-9)
    assert math.isclose(row["times_l2"], math.sqrt(delta / square), rel_tol=1e-6)
    assert [found["grid"] for found in ran.document["quantised"]] == ["nf4", "int8"]


def test_a_second_question_reads_no_update_again(kaibo: Run, made: Made) -> None:
    arguments = ("diff", at(made.base()), at(made.adapter("dora")), "--json", "--by", "role")
    first, second = kaibo(*arguments), kaibo(*arguments)
    assert first.document["results"] == second.document["results"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("diff", "ADAPTER", "BASE"), 4, "kaibo diff BASE ADAPTER"),
        (("diff", "BASE", "ADAPTER", "--storing", "fp3"), 2, "choose from bf16"),
        (("diff", "BASE", "ADAPTER", "--quantised", "bf16"), 2, "choose from nf4, int8"),
        (("diff", "OTHER", "ADAPTER"), 3, "lora_A"),
        (("diff", "BASE", "PICKLE"), 7, "pickle"),
        (("inspect", "PICKLE"), 7, "pickle"),
        (("diff", "BASE", "NOTHING"), 4, "adapter_model.safetensors"),
    ],
)
def test_what_cannot_be_done_says_why_in_one_line(
    kaibo: Run, made: Made, tmp_path: Path, arguments: tuple[str, ...], code: int, words: str
) -> None:
    from kaibo.testing import tiny_model

    tiny_model(tmp_path / "other", hidden=48)
    for name in ("pickle", "nothing"):
        shutil.copytree(made.adapter("lora"), tmp_path / name)
        (tmp_path / name / "adapter_model.safetensors").unlink()
    (tmp_path / "pickle" / "adapter_model.bin").write_bytes(b"\x80\x04.")
    places = {"ADAPTER": at(made.adapter("lora")), "BASE": at(made.base()), "OTHER": "other"}
    places |= {"PICKLE": "pickle", "NOTHING": "nothing"}
    ran = kaibo(*(places.get(argument, argument) for argument in arguments))
    assert ran.code == code, ran.err
    assert len(ran.lines) == 1
    assert words in ran.lines[0]


@pytest.mark.parametrize("language", ["en", "ja"])
def test_the_terminal_says_what_merging_would_cost(kaibo: Run, made: Made, language: str) -> None:
    ran = kaibo("diff", at(made.base()), at(made.adapter("lora")), "--lang", language)
    assert ran.code == 0
    assert {"en": "merged into bf16:", "ja": "を bf16 に統合すると"}[language] in ran.out
