"""Pairing of real models with the same weights written another way: equal, and the way is said."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kaibo.models import open_model
from kaibo.models.pairing import Pair, Pairing, pair_models
from kaibo.testing import write_safetensors
from kaibo.vocabulary import Tensor, widen

Arrays = dict[str, np.ndarray]
SMALL = {"vocab_size": 40, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
LLAMA_LIKE = {
    **SMALL,
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 40,
}
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("LlamaForCausalLM", LLAMA_LIKE),
    "llama_tied": ("LlamaForCausalLM", {**LLAMA_LIKE, "tie_word_embeddings": True}),
    "gemma": ("GemmaForCausalLM", {**LLAMA_LIKE, "head_dim": 8}),
    "phi3": ("Phi3ForCausalLM", LLAMA_LIKE),
    "mixtral": ("MixtralForCausalLM", {**LLAMA_LIKE, "num_local_experts": 3}),
    "neox": (
        "GPTNeoXForCausalLM",
        {**SMALL, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48},
    ),
    "falcon": (
        "FalconForCausalLM",
        {
            **SMALL,
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_kv_heads": 2,
            "new_decoder_architecture": True,
        },
    ),
    "mpt": ("MptForCausalLM", {"vocab_size": 40, "d_model": 32, "n_heads": 4, "n_layers": 2}),
    "gpt2": ("GPT2LMHeadModel", {**SMALL, "n_embd": 24, "n_layer": 2, "n_head": 4, "n_positions": 32}),
}


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A tiny model of a family, made and saved by transformers, its weights far enough from each other to tell."""
    folder = tmp_path_factory.mktemp("real")

    def make(name: str) -> Path:
        if not (folder / name).exists():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                _save(name, folder / name)
        return folder / name

    return make


def _save(name: str, folder: Path) -> None:
    import torch
    import transformers

    model_class = getattr(transformers, MODELS[name][0])
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = model_class(model_class.config_class(**MODELS[name][1]))
        for weight in model.parameters():
            weight.data.normal_()  # also norms and biases, which begin as ones and zeros
    model.save_pretrained(folder)


def arrays(folder: Path) -> Arrays:
    return {tensor.name: values(tensor).reshape(tensor.shape) for tensor in open_model(folder).tensors}


def values(tensor: Tensor) -> np.ndarray:
    chunks = [widen(tensor.dtype.name, chunk).copy() for chunk in tensor.chunks(np.empty(1 << 10, np.uint8))]
    return np.concatenate([np.zeros(0), *chunks]).astype(np.float32)


def rewritten(folder: Path, out: Path, change: Callable[[Arrays], Arrays], **config: Any) -> Path:
    """A copy of a model whose tensors are put another way, and whose config says some things otherwise."""
    shutil.copytree(folder, out)
    said = json.loads((folder / "config.json").read_text())
    (out / "config.json").write_text(json.dumps({**said, **config}))
    new = {name: np.ascontiguousarray(array, np.float32) for name, array in change(arrays(folder)).items()}
    contents = {name: ("F32", array.shape, array.view("<u4")) for name, array in new.items()}
    write_safetensors(out / "model.safetensors", contents)
    return out


def paired(base: Path, tuned: Path) -> Pairing:
    found = pair_models(open_model(base), open_model(tuned))
    names = [pair.base.canonical for pair in found.pairs]
    assert len(set(names)) == len(names)
    assert names == sorted(names)
    return found


def assert_all_equal(found: Pairing) -> None:
    assert found.unmatched == ()
    assert [(one.values, one.bytes) for one in found.coverage] == [(1.0, 1.0)] * 2
    for pair in found.pairs:
        assert pair.base.shape == pair.tuned.shape
        assert np.array_equal(values(pair.base), values(pair.tuned)), pair.base.canonical


def pair_of(found: Pairing, ending: str) -> Pair:
    (pair,) = [pair for pair in found.pairs if pair.base.canonical.endswith(ending)]
    return pair


def replaced(tensors: Arrays, ending: str, parts: Callable[[np.ndarray], dict[str, np.ndarray]]) -> Arrays:
    """Tensors with this ending in the place of which others stand, named from the same beginning."""
    out: Arrays = {}
    for name, array in tensors.items():
        if name.endswith(ending):
            out |= {name.removesuffix(ending) + new: part for new, part in parts(array).items()}
        else:
            out[name] = array
    return out


def named(kind: str, *parts: np.ndarray) -> dict[str, np.ndarray]:
    return {f"{letter}_proj.{kind}": part for letter, part in zip("qkv", parts, strict=True)}


def split_neox(tensors: Arrays) -> Arrays:
    """As GPTNeoXAttention.forward takes it apart: view(…, heads, 3 * size), then chunk(3)."""
    for kind in ("weight", "bias"):
        tensors = replaced(
            tensors,
            f"query_key_value.{kind}",
            lambda fused, kind=kind: named(
                kind,
                *(
                    part.reshape(-1, *fused.shape[1:])
                    for part in np.split(fused.reshape(4, 24, *fused.shape[1:]), 3, 1)
                ),
            ),
        )
    return tensors


def split_falcon(tensors: Arrays) -> Arrays:
    """As FalconAttention._split_heads does: view(groups, heads // groups + 2, size)."""

    def parts(fused: np.ndarray) -> dict[str, np.ndarray]:
        groups = fused.reshape(2, 4, 8, 32)
        pieces = groups[:, :-2], groups[:, -2], groups[:, -1]
        return named("weight", *(piece.reshape(-1, 32) for piece in pieces))

    return replaced(tensors, "query_key_value.weight", parts)


def split_mpt(tensors: Arrays) -> Arrays:
    return replaced(tensors, "Wqkv.weight", lambda fused: named("weight", *np.split(fused, 3)))


def split_phi3(tensors: Arrays) -> Arrays:
    tensors = replaced(tensors, "qkv_proj.weight", lambda fused: named("weight", fused[:24], fused[24:36], fused[36:]))
    return replaced(
        tensors,
        "gate_up_proj.weight",
        lambda fused: {"gate_proj.weight": fused[:40], "up_proj.weight": fused[40:]},
    )


def split_gpt2(tensors: Arrays) -> Arrays:
    tensors = replaced(tensors, "c_attn.weight", lambda fused: named("weight", *np.split(fused.T, 3)))
    return replaced(tensors, "c_attn.bias", lambda fused: named("bias", *np.split(fused, 3)))


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("neox", split_neox),
        ("falcon", split_falcon),
        ("mpt", split_mpt),
        ("phi3", split_phi3),
        ("gpt2", split_gpt2),
    ],
)
def test_a_fused_tensor_meets_its_parts_on_either_side(
    name: str, split: Callable[[Arrays], Arrays], real: Callable[[str], Path], tmp_path: Path
) -> None:
    fused = real(name)
    apart = rewritten(fused, tmp_path / "apart", split)
    for base, tuned, side in ((fused, apart, "base"), (apart, fused, "tuned")):
        found = paired(base, tuned)
        assert_all_equal(found)
        parts = [one for one in found.mapping if f"fused in the {side}" in one.how]
        assert len(parts) >= 2 * 3
        assert all(f"fused in the {side}" in pair.layout for pair in found.pairs if "[q]" in pair.base.canonical)
        assert any(f"fused in the {side}" in note for note in found.notes)
        assert {pair.base.role for pair in found.pairs} >= {"attention.q", "attention.k", "attention.v"}
    assert paired(fused, fused).mapping == ()


def test_two_models_that_fuse_in_other_orders_meet_part_by_part(real: Callable[[str], Path], tmp_path: Path) -> None:
    """GPT-NeoX's rows by heads, and the same rows one part after the other under MPT's name for them."""

    def one_after_the_other(tensors: Arrays) -> Arrays:
        weights = split_neox(tensors)
        return {
            name.replace("q_proj", "query_key_value"): np.concatenate(
                [array, weights[name.replace("q_proj", "k_proj")], weights[name.replace("q_proj", "v_proj")]]
            )
            if "q_proj" in name
            else array
            for name, array in weights.items()
            if "k_proj" not in name and "v_proj" not in name
        }

    def as_mpt(tensors: Arrays) -> Arrays:
        names = {
            "gpt_neox.layers": "transformer.blocks",
            "attention.query_key_value": "attn.Wqkv",
            "attention.dense": "attn.out_proj",
            "mlp.dense_h_to_4h": "ffn.up_proj",
            "mlp.dense_4h_to_h": "ffn.down_proj",
            "input_layernorm": "norm_1",
            "post_attention_layernorm": "norm_2",
            "gpt_neox.embed_in": "transformer.wte",
            "embed_out": "lm_head",
            "gpt_neox.final_layer_norm": "transformer.norm_f",
        }
        renamed = {}
        for name, array in one_after_the_other(tensors).items():
            for before, after in names.items():
                name = name.replace(before, after)
            renamed[name] = array
        return renamed

    said = {"model_type": "mpt", "architectures": ["MptForCausalLM"], "d_model": 32, "n_heads": 4, "n_layers": 2}
    other = rewritten(real("neox"), tmp_path / "mpt", as_mpt, **said)
    found = paired(real("neox"), other)
    assert_all_equal(found)
    assert sum("fused in the base (heads (q k v))" in one.how for one in found.mapping) == 2 * 3 * 2
    assert any("paired by layer and role" in note for note in found.notes)


def test_experts_packed_together_meet_experts_apart(real: Callable[[str], Path], tmp_path: Path) -> None:
    def packed(tensors: Arrays) -> Arrays:
        out = {name: array for name, array in tensors.items() if "experts" not in name}
        for layer in range(2):
            old, new = f"model.layers.{layer}.block_sparse_moe", f"model.layers.{layer}.mlp"
            experts = [[tensors[f"{old}.experts.{n}.{w}.weight"] for w in ("w1", "w3", "w2")] for n in range(3)]
            out[f"{new}.experts.gate_up_proj"] = np.stack([np.concatenate([w1, w3]) for w1, w3, _ in experts])
            out[f"{new}.experts.down_proj"] = np.stack([w2 for _, _, w2 in experts])
            out[f"{new}.gate.weight"] = out.pop(f"{old}.gate.weight")
        return out

    found = paired(real("mixtral"), rewritten(real("mixtral"), tmp_path / "packed", packed))
    assert_all_equal(found)
    pair = pair_of(found, "layers.1.block_sparse_moe.experts.2.w3.weight")
    assert pair.tuned.canonical == "layers.1.mlp.experts.gate_up_proj[2 up]"
    assert pair.tuned.role == "expert.up"


@pytest.mark.parametrize("labelled", [True, False])
def test_conv1d_is_transposed_where_the_other_model_stores_outputs_first(
    labelled: bool, real: Callable[[str], Path], tmp_path: Path
) -> None:
    def linear(tensors: Arrays) -> Arrays:
        turned = ("c_attn.weight", "c_proj.weight", "c_fc.weight")
        return {name: array.T if name.endswith(turned) else array for name, array in tensors.items()}

    other = rewritten(real("gpt2"), tmp_path / "linear", linear)
    if not labelled:
        (other / "config.json").unlink()
    found = paired(other, real("gpt2"))
    assert_all_equal(found)
    square = pair_of(found, "h.1.attn.c_proj.weight")  # its shape does not tell, those of the others do
    assert "inputs first in the tuned (Conv1D), transposed" in square.layout
    assert sum("Conv1D" in one.how for one in found.mapping) == 8


def interleaved(array: np.ndarray, size: int = 6) -> np.ndarray:
    """Meta's order from that of Hugging Face: the inverse of `permute` in convert_llama_weights_to_hf.py."""
    rest = array.shape[1:]
    return array.reshape(-1, 2, size // 2, *rest).swapaxes(1, 2).reshape(-1, *rest)


def turned(tensors: Arrays) -> Arrays:
    both = ("q_proj.weight", "k_proj.weight")
    return {name: interleaved(array) if name.endswith(both) else array for name, array in tensors.items()}


def test_rotary_rows_in_the_other_order_are_recognised_and_undone(real: Callable[[str], Path], tmp_path: Path) -> None:
    other = rewritten(real("llama"), tmp_path / "meta", turned)
    for base, tuned, order in ((real("llama"), other, "interleaved"), (other, real("llama"), "half")):
        found = paired(base, tuned)
        assert_all_equal(found)
        said = [pair for pair in found.pairs if f"the {order} order" in pair.layout]
        assert sorted({pair.base.role for pair in said}) == ["attention.k", "attention.q"]
        assert len(said) == 4
        assert any(f"q and k of the tuned are in the {order} order" in note for note in found.notes)


def test_noise_does_not_hide_the_order_and_strangers_have_none(real: Callable[[str], Path], tmp_path: Path) -> None:
    random = np.random.default_rng(0)

    def noisy(tensors: Arrays) -> Arrays:
        return {name: array + 0.2 * random.standard_normal(array.shape) for name, array in turned(tensors).items()}

    def strange(tensors: Arrays) -> Arrays:
        return {name: random.standard_normal(array.shape) for name, array in tensors.items()}

    found = paired(real("llama"), rewritten(real("llama"), tmp_path / "noisy", noisy))
    assert sum("interleaved" in pair.layout for pair in found.pairs) == 4
    query = pair_of(found, "1.self_attn.q_proj.weight")
    assert (values(query.tuned) - values(query.base)).std() == pytest.approx(0.2, rel=0.1)
    assert paired(real("llama"), rewritten(real("llama"), tmp_path / "strange", strange)).mapping == ()


def test_the_makers_own_file_meets_the_folder_of_hugging_face(real: Callable[[str], Path], tmp_path: Path) -> None:
    names = {
        "model.": "",
        "embed_tokens": "tok_embeddings",
        "input_layernorm": "attention_norm",
        "post_attention_layernorm": "ffn_norm",
        "self_attn.q_proj": "attention.wq",
        "self_attn.k_proj": "attention.wk",
        "self_attn.v_proj": "attention.wv",
        "self_attn.o_proj": "attention.wo",
        "mlp.gate_proj": "feed_forward.w1",
        "mlp.up_proj": "feed_forward.w3",
        "mlp.down_proj": "feed_forward.w2",
        "lm_head": "output",
    }

    def as_meta(tensors: Arrays) -> Arrays:
        out = {}
        for name, array in turned(tensors).items():
            for before, after in names.items():
                name = name.replace(before, after)
            out[name] = array
        return out

    folder = rewritten(real("llama"), tmp_path / "meta", as_meta)
    (folder / "model.safetensors").rename(tmp_path / "consolidated.safetensors")
    found = paired(real("llama"), tmp_path / "consolidated.safetensors")
    assert_all_equal(found)
    assert len(found.mapping) == len(found.pairs) - 1  # `norm.weight` alone has one name
    assert sum("interleaved" in one.how for one in found.mapping) == 4


@pytest.mark.parametrize("family", ["llama", "gemma"])
def test_gemmas_norms_are_compared_as_scales(family: str, real: Callable[[str], Path], tmp_path: Path) -> None:
    """Against a family whose weight is the scale, as the anatomies say, and against its own with the 1 put in."""

    def scales(tensors: Arrays) -> Arrays:
        return {name: array + 1 if "norm" in name else array for name, array in tensors.items()}

    said = {"llama": {"model_type": "llama", "architectures": ["LlamaForCausalLM"]}, "gemma": {}}[family]
    other = rewritten(real("gemma"), tmp_path / "scales", scales, tie_word_embeddings=True, **said)
    for base, tuned, side in ((real("gemma"), other, "base"), (other, real("gemma"), "tuned")):
        found = paired(base, tuned)
        assert_all_equal(found)
        assert sum(f"the scale of the {side} is 1 + weight" in pair.layout for pair in found.pairs) == 5
    assert paired(real("gemma"), real("gemma")).mapping == ()


def test_a_stored_head_meets_the_embedding_that_stands_for_it(real: Callable[[str], Path], tmp_path: Path) -> None:
    def untied(tensors: Arrays) -> Arrays:
        return {**tensors, "lm_head.weight": tensors["model.embed_tokens.weight"]}

    other = rewritten(real("llama_tied"), tmp_path / "untied", untied, tie_word_embeddings=False)
    for base, tuned, side in ((real("llama_tied"), other, "base"), (other, real("llama_tied"), "tuned")):
        found = paired(base, tuned)
        assert_all_equal(found)
        head = pair_of(found, "lm_head.weight")
        assert head.base.role == head.tuned.role == "head"
        assert head.layout.startswith(f"the {side} has no head of its own (tied)")


def test_a_config_that_is_wrong_about_its_head_is_reported(real: Callable[[str], Path], tmp_path: Path) -> None:
    said = rewritten(real("llama"), tmp_path / "said", lambda tensors: tensors, tie_word_embeddings=True)
    found = paired(real("llama"), said)
    assert_all_equal(found)
    assert [note for note in found.notes if "tuned" in note] == [
        "tuned: the config ties head and embedding, yet the head that is stored is another table"
    ]

    def headless(tensors: Arrays) -> Arrays:
        return {name: array for name, array in tensors.items() if "lm_head" not in name}

    found = paired(real("llama"), rewritten(real("llama"), tmp_path / "headless", headless))
    assert [(one.side, one.tensor) for one in found.unmatched] == [("base", "lm_head.weight")]
    assert "tuned: the config says that the head is not the embedding, yet no head is stored" in found.notes


def test_fused_tensors_without_a_number_of_heads_are_left_and_said(real: Callable[[str], Path], tmp_path: Path) -> None:
    apart = rewritten(real("neox"), tmp_path / "apart", split_neox)
    fused = rewritten(real("neox"), tmp_path / "fused", lambda tensors: tensors)
    (apart / "config.json").unlink()
    (fused / "config.json").unlink()
    found = paired(fused, apart)
    reasons = {one.why for one in found.unmatched if "query_key_value" in one.tensor}
    assert reasons == {"fused, and the config does not say how many heads to take it apart by"}
    assert found.coverage[0].values == pytest.approx(
        1 - sum(one.share for one in found.unmatched if one.side == "base")
    )
