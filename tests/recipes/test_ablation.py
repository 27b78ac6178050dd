from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from kaibo.llama import Llama, LlamaConfig  # noqa: E402
from kaibo.recipes.nurseries.ablation import AblationRow, exchanges, parts_of, table  # noqa: E402
from kaibo.recipes.nurseries.exchanged import Exchanged, Parts, sinusoids  # noqa: E402
from kaibo.recipes.nurseries.nursery_plan import Planned, planned  # noqa: E402
from kaibo.recipes.nurseries.nursery_texts import prepare  # noqa: E402
from kaibo.recipes.runs.workshop import Workshop  # noqa: E402
from kaibo.recipes.settings.presets import PRESETS  # noqa: E402

SHAPE = Parts(64, 16, 32, 2, 4, 2, 32)


class Silent:
    def begin(self, run: str, steps: int) -> None:
        pass

    def step(self, step: int, tokens: int, loss: float) -> None:
        pass


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    folder = tmp_path_factory.mktemp("ablation")
    return folder, list(exchanges(_base(folder), Workshop(folder, str, Silent()), (1, 2)))


def _base(folder: Path) -> Planned:
    preset = replace(PRESETS["micro"], children=None)
    prepare(preset, folder)
    return planned(preset, folder)[0]


@pytest.mark.parametrize("kv_heads", [1, 2, 4])
def test_with_the_parts_of_llama_it_is_the_reference(kv_heads: int) -> None:
    parts = replace(SHAPE, kv_heads=kv_heads)
    ours = Exchanged(parts, 0).eval()
    reference = Llama(LlamaConfig(64, 16, 32, 2, 4, kv_heads, 4, 32, tied=True, norm_epsilon=1e-5)).eval()
    with torch.no_grad():
        for block, other in zip(ours.layers, reference.blocks, strict=True):
            attention = block.self_attn
            fused = {"qkv": [attention.q_proj, attention.k_proj, attention.v_proj], "o": [attention.o_proj]}
            gated = [block.mlp.gate_proj, block.mlp.up_proj]
            _set(other.attention, [weight for parts_ in fused.values() for weight in parts_])
            _set(other.mlp, [*gated, block.mlp.down_proj])
        reference.embedding.weight.copy_(ours.embed_tokens.weight)
        for norm in (module for module in reference.modules() if type(module).__name__ == "RMSNorm"):
            for weight in norm.parameters():
                weight.fill_(1.0)
        ids = torch.arange(20)[None] % 64
        torch.testing.assert_close(ours(ids), reference.logits(reference(ids)), rtol=1e-5, atol=1e-6)


def _set(module: Any, linears: list[Any]) -> None:
    """Fills the weights of a module of the reference, which may hold several matrices as one, in their order."""
    rows = [row for linear in linears for row in linear.weight]
    begin = 0
    for weight in module.parameters():
        weight.copy_(torch.stack(rows[begin : begin + len(weight)]))
        begin += len(weight)
    assert begin == len(rows)


@pytest.mark.parametrize("choice", ["LayerNorm", "GELU", "learned", "sinusoidal", "MHA", "MQA"])
def test_no_token_sees_one_that_comes_after(choice: str) -> None:
    recipe = planned(PRESETS["ablation"], Path("x"))[0].recipe
    model = Exchanged(parts_of(recipe, choice), 0).eval()
    ids = torch.arange(24)[None]
    changed = ids.clone()
    changed[0, 12:] = 7
    torch.testing.assert_close(model(ids)[:, :12], model(changed)[:, :12])


def test_sinusoids_tell_distance_and_not_place() -> None:
    table_ = sinusoids(40, 16)
    dots = table_ @ table_.T
    for distance in (1, 5, 20):
        along = torch.diagonal(dots, distance)
        torch.testing.assert_close(along, along[:1].expand_as(along))


def test_only_what_is_exchanged_differs_in_size() -> None:
    recipe = planned(PRESETS["ablation"], Path("x"))[0].recipe
    sizes = {
        choice: sum(weight.numel() for weight in Exchanged(parts_of(recipe, choice), 0).parameters())
        for choice in ("LLaMA", "GELU", "sinusoidal", "LayerNorm", "MHA", "MQA", "learned")
    }
    assert sizes["LLaMA"] == sizes["GELU"] == sizes["sinusoidal"]
    assert sizes["LayerNorm"] - sizes["LLaMA"] == 5 * 64
    assert sizes["learned"] - sizes["LLaMA"] == 256 * 64
    assert sizes["MQA"] < sizes["LLaMA"] < sizes["MHA"]
    assert parts_of(recipe, "MHA").kv_bytes_per_token == 4 * parts_of(recipe, "MQA").kv_bytes_per_token


def test_the_table_has_a_row_an_exchange_over_its_seeds(made: tuple[Path, list[dict[str, Any]]]) -> None:
    rows = table(made[1])
    assert [row.choice for row in rows] == ["LLaMA", "LayerNorm", "GELU", "learned", "sinusoidal", "MHA", "MQA"]
    for row in rows:
        assert isinstance(row, AblationRow)
        assert row.seeds == 2
        assert row.loss_low <= row.loss <= row.loss_high
    assert rows[0].worse == 0.0


def test_digits_are_those_of_the_weights(made: tuple[Path, list[dict[str, Any]]]) -> None:
    from safetensors.numpy import load_file

    folder, accounts = made
    weights = load_file(folder / accounts[0]["recipe"]["name"] / "model.safetensors")
    values = np.concatenate([tensor.ravel() for tensor in weights.values()])
    digits = [int(f"{abs(value):.10e}"[0]) for value in values[values != 0].astype(np.float64)]
    shares = np.bincount(digits, minlength=10)[1:] / len(digits)
    expected = np.abs(shares - np.log10(1 + 1 / np.arange(1, 10))).mean()
    assert accounts[0]["ablation"]["mae"] == pytest.approx(expected, abs=1e-12)


def test_exchanges_that_are_there_are_kept(made: tuple[Path, list[dict[str, Any]]]) -> None:
    folder, accounts = made
    again = list(exchanges(_base(folder), Workshop(folder, str, Silent()), (1, 2)))
    assert json.loads(json.dumps(accounts)) == again
