"""Every sentence of "What stands out" against a model that is built to make it false."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kaibo.chapters.digits import benford
from kaibo.chapters.dissect.highlights import Changed, highlights
from kaibo.chapters.dissect.sentences import sentence
from kaibo.chapters.stats import profile, statistics
from kaibo.collect import Options, take_census
from kaibo.models import open_model
from kaibo.store import Store
from kaibo.testing import write_safetensors
from kaibo.testing.models import encode
from kaibo.words.catalogue import LANGUAGES

Arrays = dict[str, np.ndarray]
RNG = np.random.default_rng(0)
GAUSS = RNG.normal(0, 0.02, (64, 256))


def written(folder: Path, arrays: Arrays, dtype: str = "F32") -> Path:
    folder.mkdir()
    rows = {name: (dtype, x.shape, encode(dtype, x.astype(np.float32).reshape(-1))) for name, x in arrays.items()}
    write_safetensors(folder / "model.safetensors", rows)
    (folder / "config.json").write_text('{"model_type": "llama", "num_hidden_layers": 1}')
    return folder


def found(folder: Path, arrays: Arrays, dtype: str = "F32", changed: Changed | None = None) -> dict[str, Any]:
    """The values of every highlight, by its key, in order."""
    model = open_model(written(folder / "model", arrays, dtype))
    rows = take_census(model, Store(folder / "store"), Options(1)).rows
    whole, tensors = statistics.stats(rows), statistics.stats(rows, "tensor")
    told = highlights(benford.digits(rows, "model"), whole, tensors, profile.profile(rows), changed)
    for one in told:
        for language in LANGUAGES:
            assert "{" not in sentence(one.key, one.values, language)
    return {one.key: dict(one.values) for one in told}


LAYER = "model.layers.0.mlp.up_proj.weight"


@pytest.mark.parametrize("outside", ["model.embed_tokens.weight", "lm_head.weight", "model.norm.weight", "strange"])
@pytest.mark.parametrize("size", [2, 300, 5000])
def test_the_widest_weights_are_those_of_any_tensor_large_or_small_in_or_outside_the_layers(
    tmp_path: Path, outside: str, size: int
) -> None:
    wide = RNG.normal(0, 5, (size, 1))
    told = found(tmp_path, {LAYER: GAUSS, outside: wide}, "BF16")
    assert told["widest"]["tensor"] == outside.removeprefix("model.")
    assert told["widest"]["n"] == size


def test_a_wide_tensor_inside_a_role_is_named_itself_and_not_its_role(tmp_path: Path) -> None:
    """Two tensors of one role and layer: their σ together is not the largest, the one alone is."""
    arrays = {
        "model.layers.0.mlp.up_proj.weight": RNG.normal(0, 0.1, (64, 256)),
        "model.layers.0.mlp.up_proj.bias": RNG.normal(0, 3, (64,)),
        "model.layers.1.mlp.up_proj.weight": RNG.normal(0, 0.5, (64, 256)),
    }
    assert found(tmp_path, arrays, "BF16")["widest"]["tensor"] == "layers.0.mlp.up_proj.bias"


def test_a_model_of_constants_has_no_widest_weights_no_grid_and_no_tails(tmp_path: Path) -> None:
    told = found(tmp_path, {"model.norm.weight": np.ones(5000), LAYER: np.ones((64, 256))})
    assert not {"widest", "grid", "tails"} & told.keys()


def test_light_tails_are_never_called_the_heaviest(tmp_path: Path) -> None:
    told = found(tmp_path, {LAYER: RNG.uniform(-1, 1, (64, 256))})
    assert told["tails"]["kurtosis"] == pytest.approx(-1.2, abs=0.05)
    assert sentence("tails", told["tails"]).startswith(
        "No tensor has heavy tails, among those of at least 4,096 weights"
    )


def test_nothing_is_said_of_weights_beyond_six_sigma_where_there_are_none(tmp_path: Path) -> None:
    laplace = np.clip(RNG.laplace(0, 1, (64, 256)), -5, 5)
    values = found(tmp_path, {LAYER: laplace})["tails"]
    text = sentence("tails", values)
    assert "6σ" not in text
    assert "0 %" not in text.replace("0.27 %", "")
    assert values["sigmas"] == 3
    assert values["beyond"] > values["expected"]


def test_heavy_tails_without_a_single_weight_beyond_three_sigma_are_told_by_their_kurtosis_alone(
    tmp_path: Path,
) -> None:
    """Three points, the outer ones with a chance of 1/8.5: excess kurtosis 5.5, the farthest at 2.9σ."""
    outer = np.zeros(17_000)
    outer[:1000], outer[1000:2000] = 1.0, -1.0
    text = sentence("tails", found(tmp_path, {LAYER: outer.reshape(170, 100)})["tails"])
    assert "excess kurtosis 5.5" in text
    assert "σ," not in text


def test_a_small_tensor_with_heavier_tails_makes_no_sentence_false(tmp_path: Path) -> None:
    small = np.zeros(500)
    small[0] = 100.0
    told = found(tmp_path, {LAYER: RNG.laplace(0, 1, (64, 256)), "model.norm.weight": small})
    assert "among tensors of at least 4,096 weights" in sentence("tails", told["tails"])


def test_norms_of_ones_are_no_sign_of_a_conversion(tmp_path: Path) -> None:
    told = found(tmp_path, {"model.norm.weight": np.ones(5000), LAYER: GAUSS})
    assert "grid" not in told


def test_the_share_on_a_grid_is_of_weights(tmp_path: Path) -> None:
    rounded = (GAUSS.astype(np.float32).view(np.uint32) & 0xFFFF0000).view(np.float32)
    told = found(tmp_path, {LAYER: rounded, "model.embed_tokens.weight": RNG.normal(0, 1, (64 * 3, 256))})
    assert told["grid"]["grid"] == "bfloat16"
    assert told["grid"]["share"] == pytest.approx(0.25)


def test_damage_is_told_before_all_else_but_a_change(tmp_path: Path) -> None:
    broken = GAUSS.copy()
    broken[0, :3] = math.nan, math.inf, -math.inf
    assert next(iter(found(tmp_path, {LAYER: broken}))) == "nonfinite"


def test_the_largest_norm_is_never_that_of_nothing(tmp_path: Path) -> None:
    assert "norms" not in found(tmp_path, {LAYER: np.zeros((64, 256))})


def changed_from(tmp_path: Path, base: Arrays, tuned: Arrays) -> tuple[list[str], str]:
    """The keys that are told and the first sentence of a dissection against a base."""
    import kaibo
    from kaibo.chapters.dissect.ask import Output

    before, after = written(tmp_path / "before", base), written(tmp_path / "after", tuned)
    made = kaibo.dissect(
        after, base=before, output=Output(tmp_path / "out"), settings=kaibo.Settings(store=tmp_path / "store")
    )
    return [one.key for one in made.chapters.highlights], made.sentences[0]


def test_with_a_base_the_first_sentence_is_about_what_changed(tmp_path: Path) -> None:
    moved = GAUSS.copy()
    moved[0] += 1.0
    keys, first = changed_from(tmp_path, {LAYER: GAUSS}, {LAYER: moved})
    assert keys[0] == "changed"
    assert len(keys) <= 5
    assert first.startswith("1.56 % of the weights that it shares with before differ from it")


def test_with_a_base_nothing_is_said_to_be_the_same_that_was_not_compared(tmp_path: Path) -> None:
    more = {LAYER: GAUSS, "model.norm.weight": np.ones(64)}
    _, first = changed_from(tmp_path, {LAYER: GAUSS}, more)
    assert first.startswith("None of the 16,384 weights that it shares with before differs.")
    assert first.endswith("counterpart: 1.")
    (tmp_path / "b").mkdir()
    _, first = changed_from(tmp_path / "b", {LAYER: GAUSS}, {LAYER: GAUSS})
    assert first == "Every weight is the same as in before: none of 16,384 differs."
    (tmp_path / "c").mkdir()
    _, first = changed_from(tmp_path / "c", {"a": GAUSS}, {"b": GAUSS[:32]})
    assert first == "No weight of it could be compared with before."
