from __future__ import annotations

import json

import numpy as np
import pytest
from safetensors.numpy import load_file

from made import ADAPTERS, Made

ml_dtypes = pytest.importorskip("ml_dtypes")  # safetensors reads bf16 into numpy only after it
pytest.importorskip("peft")


def test_two_fine_tunes_of_one_base_moved_every_weight_and_moved_it_elsewhere(made: Made) -> None:
    base, one, other = (
        load_file(folder / "model.safetensors")
        for folder in (made.base("float32"), made.tuned(1, "float32"), made.tuned(2, "float32"))
    )
    assert base.keys() == one.keys() == other.keys()
    for name, weights in base.items():
        assert (one[name] != weights).any(), name
        assert (one[name] != other[name]).any(), name


def test_a_bf16_fine_tune_is_the_float32_one_rounded(made: Made) -> None:
    wide, narrow = (load_file(made.tuned(1, kind) / "model.safetensors") for kind in ("float32", "bf16"))
    for name, weights in wide.items():
        np.testing.assert_array_equal(weights.astype(ml_dtypes.bfloat16), narrow[name])


@pytest.mark.parametrize("kind", sorted(ADAPTERS))
def test_an_adapter_was_trained_and_names_its_base(made: Made, kind: str) -> None:
    folder = made.adapter(kind)
    factors = load_file(folder / "adapter_model.safetensors")
    assert all(np.any(values) for values in factors.values())
    assert json.loads((folder / "adapter_config.json").read_text())["base_model_name_or_path"] == str(
        made.base("float32")
    )
    assert any("magnitude" in name for name in factors) == (kind == "dora")
