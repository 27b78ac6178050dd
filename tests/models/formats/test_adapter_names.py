"""Names of factors as they are found in published adapters, and patterns of ranks that come from strangers."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from kaibo.errors import FormatError
from kaibo.models import open_model
from kaibo.models.adapters import applied, open_adapter, open_tuned
from kaibo.models.formats.adapter import part_of
from kaibo.models.formats.patterns import Budget, ModulePattern, PatternError
from kaibo.testing import tiny_adapter, tiny_model
from kaibo.vocabulary import Model, widen

PREFIX = "base_model.model."


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return tiny_model(tmp_path / "my-model")


def values(model: Model) -> dict[str, np.ndarray]:
    room = np.empty(1 << 16, np.uint8)
    return {
        tensor.canonical: np.concatenate([widen(tensor.dtype.name, chunk) for chunk in tensor.chunks(room)])
        for tensor in model.tensors
    }


def renamed(folder: Path, base: Path, change: Callable[[str], str], *, turned: bool = False) -> Path:
    """An adapter for `base` with other names of its factors, turned as MLX stores them."""
    tiny_adapter(folder)
    file = folder / "adapter_model.safetensors"
    factors = {change(name): np.ascontiguousarray(one.T) if turned else one for name, one in load_file(file).items()}
    save_file(factors, file)
    return folder


SPELLINGS: dict[str, Callable[[str], str]] = {
    "with the adapter's name": lambda name: name.replace(".weight", ".default.weight"),
    "with another adapter's name": lambda name: name.replace(".weight", ".my-adapter.weight"),
    "without prefix": lambda name: name.removeprefix(PREFIX),
    "with the prefix twice": lambda name: PREFIX + name,
    "of a wrapped module": lambda name: "module." + name,
    "lower case": lambda name: name.replace("lora_A", "lora_a").replace("lora_B", "lora_b"),
    "down and up": lambda name: name.replace("lora_A", "lora_down").replace("lora_B", "lora_up"),
    "down and up of diffusers": lambda name: name.replace("lora_A", "lora.down").replace("lora_B", "lora.up"),
    "of a linear layer": lambda n: n.replace("lora_A", "lora_linear_layer.down").replace(
        "lora_B", "lora_linear_layer.up"
    ),
    "of an attention processor": lambda n: n.replace(".lora_A", "_lora.down").replace(".lora_B", "_lora.up"),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_known_spelling_is_the_same_adapter(tmp_path: Path, base: Path, spelling: str) -> None:
    plain = values(open_tuned(tiny_adapter(tmp_path / "plain"), open_model(base)))
    other = renamed(tmp_path / "other", base, SPELLINGS[spelling])
    found = values(open_tuned(other, open_model(base)))
    assert found.keys() == plain.keys()
    assert all(np.array_equal(found[name], plain[name]) for name in plain)


def test_what_mlx_writes_is_turned_and_scaled_as_mlx_does(tmp_path: Path, base: Path) -> None:
    plain = values(open_tuned(tiny_adapter(tmp_path / "plain", rank=4, alpha=8.0), open_model(base)))

    def spelled(name: str) -> str:
        return name.removeprefix(PREFIX).replace("lora_A.weight", "lora_a").replace("lora_B.weight", "lora_b")

    other = renamed(tmp_path / "other", base, spelled, turned=True)
    (other / "adapter_model.safetensors").rename(other / "adapters.safetensors")
    config = {
        "fine_tune_type": "lora",
        "lora_parameters": {"rank": 4, "scale": 2.0, "dropout": 0.0},
        "model": "my-model",
    }
    (other / "adapter_config.json").write_text(json.dumps(config))
    found = values(open_tuned(other, open_model(base)))
    assert all(np.array_equal(found[name], plain[name]) for name in plain)


def test_an_alpha_beside_the_factors_overrules_the_config(tmp_path: Path, base: Path) -> None:
    plain = open_adapter(tiny_adapter(tmp_path / "plain", rank=4, alpha=2.0))
    folder = tiny_adapter(tmp_path / "other", rank=4, alpha=8.0)
    file = folder / "adapter_model.safetensors"
    factors = load_file(file)
    modules = {name.partition(".lora_")[0] for name in factors}
    save_file({**factors, **{f"{module}.alpha": np.array(2.0, np.float32) for module in modules}}, file)
    other = open_adapter(folder)
    assert plain is not None
    assert other is not None
    scales = [{u.factors.scale for u in applied(one, open_model(base)).updates} for one in (plain, other)]
    assert scales == [{0.5}, {0.5}]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda name: name.replace("lora_A", "hada_w1_a"), "no part of an adapter"),
        (lambda name: name.replace("lora_A.weight", "lora_C.weight"), "no part of an adapter"),
        (lambda name: name.replace("lora_A.weight", "lora_A.x.y.weight"), "no part of an adapter"),
        (lambda name: name.replace(".lora_A.weight", ".first.weight"), "no part of an update"),
    ],
)
def test_a_name_that_is_not_known_is_an_error_that_names_it(
    tmp_path: Path, base: Path, change: Callable[[str], str], words: str
) -> None:
    """Once such an adapter changed nothing, and a merge with it wrote the base: exit 0, L2 0."""
    with pytest.raises(FormatError, match=words) as caught:
        open_tuned(renamed(tmp_path / "other", base, change), open_model(base))
    assert caught.value.tensor
    assert any(part in caught.value.tensor for part in ("hada", "lora_C", "lora_A.x", "first"))


def test_two_adapters_in_one_file_are_refused(tmp_path: Path, base: Path) -> None:
    folder = tiny_adapter(tmp_path / "two")
    file = folder / "adapter_model.safetensors"
    factors = load_file(file)
    save_file({**factors, **{name.replace(".weight", ".second.weight"): one for name, one in factors.items()}}, file)
    with pytest.raises(FormatError, match="another tensor stands for"):
        open_adapter(folder)


def test_whole_tensors_keep_their_names() -> None:
    assert part_of("base_model.model.score.modules_to_save.default.weight") == ("score.weight", "whole")
    assert part_of("base_model.model.lm_head.base_layer.weight") == ("lm_head.weight", "whole")
    assert part_of("base_model.model.model.norm.bias") == ("model.norm.bias", "whole")


# Patterns -----------------------------------------------------------------------------------------------------------

ATOMS = ["a", "b", ".", r"\.", r"\d", "[ab]", "[^a]", "(a|b)", "(ab)?", "a*", "b+", "(a+)*", "(?:a|ab){1,3}", "^", "$"]
ATOMS += [r"\w*?", "(?!b)", "(?=a)", r"\b", "a{2}", "[0-9]+", ""]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(ATOMS), min_size=1, max_size=6), st.text("ab.1", max_size=10))
def test_a_pattern_matches_what_python_matches(atoms: list[str], module: str) -> None:
    pattern = "".join(atoms)
    try:
        expected = re.match(rf"(.*\.)?({pattern})$", module) is not None
    except re.error:
        return
    assert ModulePattern(pattern).matches(module) is expected


SLOW_ONES = ["(a*)*(a*)*(a|aa)+c", "(a+)+$b", "(.*)*(.*)*x", "(a|a)*(a|a)*b", "(?!(a+)+b)(a+)+c"]
NOT_READ = ["(((a{100}){100}){100})", r"(a)\1", "(", "(?<=a)b", "a" * 1001]


@pytest.mark.parametrize("pattern", SLOW_ONES)
def test_no_pattern_takes_more_than_its_share_of_steps(pattern: str) -> None:
    budget = Budget()
    found = ModulePattern(pattern, budget)
    assert not found.matches("a" * 300)
    assert budget.steps > 0


@pytest.mark.parametrize("pattern", NOT_READ)
def test_what_is_not_read_says_why(pattern: str) -> None:
    with pytest.raises(PatternError, match=r"\w{3}"):
        ModulePattern(pattern)


def test_nested_groups_end_in_an_answer() -> None:
    with contextlib.suppress(PatternError):
        assert ModulePattern("(" * 499 + ")" * 499).matches("")


def test_a_folder_of_an_adapter_is_left_as_it_was(tmp_path: Path, base: Path) -> None:
    folder = tiny_adapter(tmp_path / "one")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    open_tuned(folder, open_model(base))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    shutil.rmtree(folder)
