"""Beside its base: whether training took, and how many times an adapter is in what it was merged to."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kaibo
from kaibo.testing import tiny_adapter, tiny_model, write_safetensors
from kaibo.testing.models import Plan, encode
from planted import Planted, trained, written


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return written(trained(), tmp_path / "base", "F32")


def kinds(model: Path, tmp_path: Path, **asked: Any) -> set[str]:
    (row,) = kaibo.check(model, settings=kaibo.Settings(store=tmp_path / "store", workers=1), **asked).rows
    assert row.sound is not bool(row.findings)
    return {one.kind for one in row.findings}


def tuned(step: float = 1e-3) -> Planted:
    planted, random = trained(), np.random.default_rng(9)
    for values in planted.values.values():
        values += (random.standard_normal(values.shape) * step).astype(np.float32)
    return planted


def test_a_fine_tune_is_sound_beside_its_base(base: Path, tmp_path: Path) -> None:
    assert not kinds(written(tuned(), tmp_path / "t", "BF16"), tmp_path, base=base)


def test_a_model_that_equals_its_base_was_not_trained(base: Path, tmp_path: Path) -> None:
    shutil.copytree(base, tmp_path / "t")
    assert kinds(tmp_path / "t", tmp_path, base=base) == {"equals-base"}


def test_a_base_that_was_only_rounded_was_not_trained(base: Path, tmp_path: Path) -> None:
    assert kinds(written(trained(), tmp_path / "t", "BF16"), tmp_path, base=base) == {"only-rounded"}


def test_a_change_below_the_step_of_the_type_is_lost(tmp_path: Path) -> None:
    before = written(trained(), tmp_path / "b", "BF16")
    planted = trained()
    for values in planted.values.values():
        values.reshape(-1)[:1] *= np.float32(1.01)
        values[:] = values.astype(np.float32)
    big = Planted({n: np.tile(v, (1, 400)) if v.ndim == 2 else v for n, v in trained().values.items()})
    before = written(big, tmp_path / "b2", "BF16")
    for values in big.values.values():
        values.reshape(-1)[0] *= np.float32(1.02)
    found = kinds(written(Planted({n: v for n, v in big.values.items() if v.ndim == 2}), tmp_path / "t", "BF16"),
                  tmp_path, base=before)  # fmt: skip
    assert "below-rounding" in found


def test_a_chat_template_that_the_base_has_is_missed(base: Path, tmp_path: Path) -> None:
    (base / "chat_template.jinja").write_text("{{ messages }}\n")
    model = written(tuned(), tmp_path / "t", "F32")
    assert kinds(model, tmp_path, base=base) == {"template-missing"}
    (model / "chat_template.jinja").write_text("{{ messages }}")
    assert not kinds(model, tmp_path, base=base)
    (model / "chat_template.jinja").write_text("{{ other }}")
    assert kinds(model, tmp_path, base=base) == {"template-differs"}


def test_an_adapter_whose_b_is_still_zero_was_not_trained(tmp_path: Path) -> None:
    assert not kinds(tiny_adapter(tmp_path / "good"), tmp_path)
    assert kinds(_adapter(tmp_path / "zero", lambda name, one: one * 0 if "lora_B" in name else one), tmp_path) == {
        "zero-b"
    }


def test_layers_that_the_adapter_leaves_out_are_named(tmp_path: Path) -> None:
    folder = _adapter(tmp_path / "part", lambda name, one: None if "layers.1" in name and "v_proj" in name else one)
    assert kinds(folder, tmp_path) == {"unreached"}


def _adapter(folder: Path, change: Any) -> Path:
    tiny_adapter(folder)
    tensors = {}
    for name, values in _factors(folder).items():
        changed = change(name, values)
        if changed is not None:
            tensors[name] = ("F32", changed.shape, encode("F32", np.ascontiguousarray(changed, np.float32)))
    write_safetensors(folder / "adapter_model.safetensors", tensors)
    return folder


def _read(path: Path) -> dict[str, np.ndarray]:
    raw = path.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    found = {}
    for name, entry in json.loads(raw[8 : 8 + length]).items():
        if name != "__metadata__":
            begin, end = (8 + length + at for at in entry["data_offsets"])
            wide = np.frombuffer(raw[begin:end], "<u4" if entry["dtype"] == "F32" else "<u2")
            values = wide.view("<f4") if entry["dtype"] == "F32" else (wide.astype("<u4") << 16).view("<f4")
            found[name] = values.reshape(entry["shape"])
    return found


def _factors(folder: Path) -> dict[str, np.ndarray]:
    return _read(folder / "adapter_model.safetensors")


@pytest.mark.parametrize("dtype", ["F32", "BF16"])
@pytest.mark.parametrize(
    ("times", "kind"), [(1.0, None), (2.0, "merged-twice"), (0.0, "merged-not"), (0.5, "merged-scale")]
)
def test_how_many_times_an_adapter_was_merged_is_estimated(
    times: float, kind: str | None, dtype: str, tmp_path: Path
) -> None:
    before, adapter = tiny_model(tmp_path / "base", dtype=dtype), tiny_adapter(tmp_path / "adapter")
    factors, weights = _factors(adapter), _read(before / "model.safetensors")
    for name in Plan().tensors():
        module = f"base_model.model.{name.removesuffix('.weight')}"
        if f"{module}.lora_A.weight" in factors:
            update = 2.0 * factors[f"{module}.lora_B.weight"] @ factors[f"{module}.lora_A.weight"]
            weights[name] = (weights[name] + times * update).astype(np.float32)
    merged = tmp_path / "merged"
    shutil.copytree(before, merged)
    write_safetensors(
        merged / "model.safetensors", {n: (dtype, v.shape, encode(dtype, v.copy())) for n, v in weights.items()}
    )
    found = kinds(merged, tmp_path, base=before, adapter=adapter)
    assert {one for one in found if one.startswith("merged")} == (set() if kind is None else {kind})
    assert found <= {"merged-twice", "merged-not", "merged-scale", "equals-base"}


def test_an_adapter_needs_the_base_it_was_merged_to(base: Path, tmp_path: Path) -> None:
    with pytest.raises(kaibo.KaiboError, match="--base") as refused:
        kaibo.check(base, adapter=tmp_path)
    assert refused.value.exit == 2
