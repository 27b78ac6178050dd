from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from kaibo.errors import FormatError, KaiboError, MissingError, PolicyError
from kaibo.models import open_model
from kaibo.models.adapters import Applied, applied, notes_on, open_adapter, open_tuned
from kaibo.models.derived.updates import Factors, Update, adapted
from kaibo.models.formed import Formed
from kaibo.vocabulary import DTYPES, Tensor
from made import ADAPTERS, Made, quiet

pytest.importorskip("peft")

KINDS: dict[str, dict[str, Any]] = {
    **ADAPTERS,
    "patterns": {
        "r": 4,
        "lora_alpha": 8,
        "target_modules": ["q_proj", "v_proj"],
        "rank_pattern": {"layers.0.self_attn.q_proj": 2, r"^model.layers.1.*v_proj": 3},
        "alpha_pattern": {"v_proj": 5},
        "use_rslora": True,
    },
    "embedding": {"r": 3, "lora_alpha": 5, "target_modules": ["embed_tokens", "lm_head"]},
    "embedding dora": {"r": 3, "lora_alpha": 5, "target_modules": ["embed_tokens", "k_proj"], "use_dora": True},
    "saved": {"r": 2, "lora_alpha": 4, "target_modules": ["q_proj"], "modules_to_save": ["lm_head", "norm"]},
    "one layer": {"r": 2, "lora_alpha": 4, "target_modules": ["q_proj"], "layers_to_transform": [1]},
}

SLOWER = dict.fromkeys(("embedding", "one layer", "rslora"), pytest.mark.slow)
"""Kinds of which the others already hold every part."""


def values(tensor: Tensor, bytes_at_once: int = 1 << 16) -> np.ndarray:
    """All values of a stream in float64, read a few at a time."""
    width = tensor.dtype.itemsize
    room = np.empty(max(bytes_at_once, width) // width * width, np.uint8)
    stored = [chunk.view(f"<f{width}").astype(np.float64) for chunk in tensor.chunks(room)]
    return np.concatenate(stored).reshape(tensor.shape)


def opened(adapter: Path, base: Path) -> Applied:
    found = open_adapter(adapter)
    assert found is not None
    return applied(found, open_model(base))


@pytest.mark.parametrize("kind", [pytest.param(kind, marks=SLOWER.get(kind, ())) for kind in sorted(KINDS)])
def test_base_and_update_are_what_peft_merges(made: Made, kind: str) -> None:
    """PEFT forms the sum in float32, so the two may differ by a few roundings of the weights, not more."""
    adapter, base = made.adapted(kind, **KINDS[kind]), made.base("float32")
    merged = load_file(made.merged(adapter) / "model.safetensors")
    model = open_tuned(adapter, open_model(base))
    original = load_file(base / "model.safetensors")
    assert {tensor.name for tensor in model.tensors} == set(merged) == set(original)
    moved = 0
    for tensor in model.tensors:
        name, found = tensor.name, values(tensor)
        np.testing.assert_allclose(found, merged[name], rtol=4e-7, atol=4e-7 * np.abs(merged[name]).max(), err_msg=name)
        moved += bool((found != original[name]).any())
    assert moved >= 1


@pytest.mark.parametrize("kind", ["lora", "patterns", "embedding"])
def test_an_update_is_pefts_delta_weight(made: Made, kind: str) -> None:
    import torch
    from peft import PeftModel
    from transformers import LlamaForCausalLM

    adapter, base = made.adapted(kind, **KINDS[kind]), made.base("float32")
    with quiet():
        model = PeftModel.from_pretrained(LlamaForCausalLM.from_pretrained(base, dtype=torch.float32), adapter)
    modules = dict(model.base_model.model.named_modules())
    updates = opened(adapter, base).updates
    for update in updates:
        delta = modules[update.weight.name.removesuffix(".weight")].get_delta_weight("default").detach().numpy()
        np.testing.assert_allclose(values(update.tensor), delta, rtol=1e-5, atol=1e-6 * np.abs(delta).max())
    assert len(updates) == sum(
        "get_delta_weight" in dir(module) and hasattr(module, "lora_A") for module in modules.values()
    )


def test_dora_is_the_formula_of_its_paper_in_float64(made: Made) -> None:
    adapter, base = made.adapter("dora"), made.base("float32")
    stored = load_file(adapter / "adapter_model.safetensors")
    for update in opened(adapter, base).updates:
        weights = load_file(base / "model.safetensors")[update.weight.name].astype(np.float64)
        part = f"base_model.model.{update.weight.name.removesuffix('.weight')}."
        product = stored[f"{part}lora_B.weight"].astype(np.float64) @ stored[f"{part}lora_A.weight"].astype(np.float64)
        whole = weights + 2.0 * product
        magnitude = stored[f"{part}lora_magnitude_vector"].astype(np.float64)
        expected = magnitude[:, None] * whole / np.linalg.norm(whole, axis=1, keepdims=True) - weights
        np.testing.assert_allclose(values(update.tensor), expected, rtol=1e-7, atol=1e-15)


@pytest.mark.parametrize("dora", [False, True])
def test_transposed_weights_of_gpt2_are_updated_transposed(tmp_path: Path, dora: bool) -> None:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    with quiet():
        base = GPT2LMHeadModel(GPT2Config(n_embd=16, n_layer=1, n_head=2, vocab_size=32, n_positions=16))
        base.save_pretrained(tmp_path / "base")
        config = LoraConfig(r=2, lora_alpha=3, target_modules=["c_attn", "c_proj"], fan_in_fan_out=True, use_dora=dora)
        model = get_peft_model(base, config)
        for name, weight in model.named_parameters():
            if "lora_" in name:
                weight.data.add_(torch.randn_like(weight) * 0.1)
        model.save_pretrained(tmp_path / "adapter")
        model.merge_and_unload().save_pretrained(tmp_path / "merged")
    merged = load_file(tmp_path / "merged" / "model.safetensors")
    found = opened(tmp_path / "adapter", tmp_path / "base")
    assert len(found.updates) == 3  # c_attn and two c_proj, one of which is square
    for tensor in found.model.tensors:
        if isinstance(tensor, Formed):
            np.testing.assert_allclose(values(tensor), merged[tensor.name], rtol=1e-6, atol=1e-6)


def test_what_the_adapter_does_not_touch_is_the_bases_own_tensor(made: Made) -> None:
    base = open_model(made.base())
    model = open_tuned(made.adapter("rslora"), base)
    changed = [tensor.role for tensor in model.tensors if isinstance(tensor, Formed)]
    assert sorted(changed) == ["attention.q", "attention.q", "attention.v", "attention.v"]
    kept = [tensor for tensor in model.tensors if not isinstance(tensor, Formed)]
    assert all(any(tensor is own for own in base.tensors) for tensor in kept)
    assert len(model.tensors) == len(base.tensors)


class Held:
    """A small tensor in memory, float32."""

    layer, role, source_key = None, "other", None

    def __init__(self, array: np.ndarray) -> None:
        self.array = np.ascontiguousarray(array, dtype="<f4")
        self.name = self.canonical = "held"
        self.dtype, self.shape, self.size = DTYPES["F32"], self.array.shape, self.array.size

    def chunks(self, buffer, begin=0, end=None):
        flat, step = self.array.reshape(-1).view("<u4"), buffer.nbytes // 4
        stop = self.size if end is None else end
        for at in range(begin, stop, step):
            yield flat[at : min(at + step, stop)]


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 9),
    st.integers(1, 9),
    st.integers(1, 4),
    st.booleans(),
    st.booleans(),
    st.integers(8, 200),
    st.integers(0, 2**32),
    st.data(),
)
def test_the_size_of_a_block_never_changes_a_value(
    outputs: int, inputs: int, rank: int, transposed: bool, dora: bool, room: int, seed: int, data: st.DataObject
) -> None:
    random = np.random.default_rng(seed)
    weight = Held(random.normal(size=(inputs, outputs) if transposed else (outputs, inputs)))
    magnitude = Held(random.normal(size=outputs)) if dora else None
    outer, inner = Held(random.normal(size=(outputs, rank))), Held(random.normal(size=(rank, inputs)))
    update = Update(weight, Factors(outer, inner, 0.7, transposed, magnitude))
    whole, sums = values(update.tensor), values(adapted(update))
    assert np.array_equal(values(update.tensor, room), whole)
    assert np.array_equal(values(adapted(update), room), sums)
    begin = data.draw(st.integers(0, weight.size))
    part = [chunk.view("<f4").copy() for chunk in update.tensor.chunks(np.empty(room, np.uint8), begin, weight.size)]
    assert np.array_equal(
        np.concatenate([*part, np.empty(0, np.float32)]), whole.reshape(-1)[begin:].astype(np.float32)
    )
    assert np.array_equal((sums - weight.array).astype(np.float32), whole.astype(np.float32))


# What is refused ----------------------------------------------------------------------------------------------------


@pytest.fixture
def adapter(made: Made, tmp_path: Path) -> Path:
    """A copy of an adapter that a test may spoil."""
    return Path(shutil.copytree(made.adapter("lora"), tmp_path / "adapter"))


def rewrite(folder: Path, **changes: Any) -> None:
    path = folder / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"peft_type": "PREFIX_TUNING"}, MissingError, "kind PREFIX_TUNING"),
        ({"trainable_token_indices": [1]}, MissingError, "single rows of the embedding"),
        ({"init_lora_weights": "pissa"}, MissingError, "changes the base itself"),
        ({"r": 8}, FormatError, "says rank 8"),
        ({"r": 0}, FormatError, "r is 0"),
        ({"r": "4"}, FormatError, "r is 4"),
        ({"lora_alpha": True}, FormatError, "lora_alpha is True"),
        ({"use_dora": True}, FormatError, "no magnitude vector"),
        ({"use_rslora": 1}, FormatError, "not true or false"),
        ({"alpha_pattern": {r"(a)\1": 2}}, FormatError, "groupref, which is not read"),
        ({"alpha_pattern": {"q[": 2}}, FormatError, "no regular expression"),
        ({"rank_pattern": [1]}, FormatError, "no object"),
    ],
)
def test_a_config_that_cannot_be_followed_says_why(
    adapter: Path, made: Made, changes: dict[str, Any], error: type[KaiboError], words: str
) -> None:
    rewrite(adapter, **changes)
    with pytest.raises(error, match=words) as caught:
        opened(adapter, made.base())
    assert "\n" not in caught.value.line


def test_a_kind_that_is_not_read_is_still_described(adapter: Path) -> None:
    rewrite(adapter, init_lora_weights="pissa", base_model_name_or_path="org/base")
    assert any(
        note.startswith("adapter, rank 4, base org/base (it was begun as pissa") for note in open_model(adapter).notes
    )


@pytest.mark.parametrize("text", [b"", b"[]", b"\xff\xfe{}", b'{"r": NaN}', b'{"r": 1, "r": 2}', b"[" * 100_000])
def test_a_broken_config_is_a_fault_of_the_file(adapter: Path, text: bytes) -> None:
    (adapter / "adapter_config.json").write_bytes(text)
    with pytest.raises(FormatError, match=r"adapter_config\.json"):
        open_model(adapter)


def test_a_base_of_other_shapes_is_recognised_by_the_first_tensor_that_does_not_fit(made: Made, tmp_path: Path) -> None:
    from kaibo.testing import tiny_model

    tiny_model(tmp_path / "wide", hidden=48, layers=2)
    with pytest.raises(FormatError, match=r"lora_A.*meets .*48.* the adapter was made for"):
        opened(made.adapter("lora"), tmp_path / "wide")
    tiny_model(tmp_path / "short", hidden=32, layers=1)
    with pytest.raises(FormatError):
        opened(made.adapter("lora"), tmp_path / "short")


def test_another_name_of_the_base_is_a_note_and_the_right_one_is_none(made: Made) -> None:
    found = open_adapter(made.adapter("lora"))
    assert found is not None
    assert len(notes_on(found, open_model(made.base("float32")))) == 1
    assert "as its base" in notes_on(found, open_model(made.base("bf16")))[1]


def test_an_adapter_saved_by_torch_is_the_same_one_a_bare_pickle_is_refused_and_none_at_all_is_missing(
    adapter: Path, made: Made
) -> None:
    expected = open_model(adapter)
    factors = load_file(adapter / "adapter_model.safetensors")
    (adapter / "adapter_model.safetensors").unlink()
    torch.save({name: torch.from_numpy(array) for name, array in factors.items()}, adapter / "adapter_model.bin")
    found = open_model(adapter)
    assert [(one.name, one.role, one.shape) for one in found.tensors] == [
        (one.name, one.role, one.shape) for one in expected.tensors
    ]
    (adapter / "adapter_model.bin").write_bytes(b"\x80\x02}.")
    for attempt in (lambda: open_model(adapter), lambda: opened(adapter, made.base())):
        with pytest.raises(PolicyError, match=r"adapter_model\.bin"):
            attempt()
    (adapter / "adapter_model.bin").unlink()
    with pytest.raises(MissingError, match=r"no adapter_model\.safetensors"):
        open_model(adapter)


@pytest.mark.parametrize("lost", ["lora_A", "lora_B"])
def test_a_lone_factor_is_named(adapter: Path, made: Made, lost: str) -> None:
    path = adapter / "adapter_model.safetensors"
    stored = load_file(path)
    dropped = next(name for name in stored if lost in name)
    save_file({name: array for name, array in stored.items() if name != dropped}, path)
    with pytest.raises(FormatError, match="one of the two factors is missing"):
        opened(adapter, made.base())


def test_factors_alone_are_measured_without_a_base(made: Made) -> None:
    model = open_model(made.adapter("lora"))
    assert model.family == "adapter"
    stored = load_file(made.adapter("lora") / "adapter_model.safetensors")
    assert {f"base_model.model.{tensor.canonical}" for tensor in model.tensors} == set(stored)
    assert {tensor.layer for tensor in model.tensors} == {0, 1}
    assert "attention.q" in {tensor.role for tensor in model.tensors}
