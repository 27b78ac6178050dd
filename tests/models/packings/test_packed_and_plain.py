"""A packed weight beside plain values: within its cells, near its codes, or neither."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from packed_samples import SAMPLES, Sample

import kaibo
from kaibo.chapters.same import codes
from kaibo.chapters.same.codes import packed_under
from kaibo.chapters.same.rows import SameRow
from kaibo.models import open_model
from kaibo.models.formats.gguf import BLOCKS, sizes
from kaibo.models.packings.ggml import KINDS
from kaibo.testing import write_safetensors
from made_gguf import write_gguf

CODES = {name: code for code, (name, _, _) in BLOCKS.items()}


@pytest.mark.parametrize("name", ["Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_XS", "Q4_1"])
def test_values_anywhere_in_the_cells_of_a_k_quant_are_within_and_those_of_another_block_are_not(
    name: str, tmp_path: Path
) -> None:
    random = np.random.default_rng(0)
    shape, kind = (64, 512), KINDS[name]
    count, width = sizes(name) or (1, 1)
    blocks = random.integers(0, 256, (shape[0] * shape[1] // count, width), np.uint8)
    for at in kind.halves:
        blocks[:, at : at + 2] = random.uniform(0.01, 0.02, len(blocks)).astype(np.float16)[:, None].view(np.uint8)
    stored = {"blk.0.ffn_up.weight": (CODES[name], shape, blocks.tobytes())}
    write_gguf(tmp_path / "q.gguf", {"general.architecture": "llama"}, stored)
    (weight,) = open_model(tmp_path / "q.gguf").weights
    values = next(weight.chunks(np.empty(4 * weight.size, np.uint8))).view(np.float32).copy()
    tile = weight.values.decoder.tile(0, weight.size)[0]  # type: ignore[attr-defined]
    steps = np.repeat(np.abs(tile.scales).reshape(-1), values.size // tile.scales.size)
    nearest = 11 if name.startswith("IQ4") else 1  # the levels of IQ4 lie at least so far apart
    moved = values + (random.uniform(-0.45, 0.45, values.size) * steps * nearest).astype(np.float32)
    for at, rows in enumerate((moved, np.roll(moved, values.size // 2))):
        plain = {"model.layers.0.mlp.up_proj.weight": ("F32", shape, rows.reshape(shape).view(np.uint32))}
        folder = tmp_path / str(at)
        folder.mkdir()
        write_safetensors(folder / "model.safetensors", plain)
        (folder / "config.json").write_text(json.dumps({"model_type": "llama"}))
        (row,) = kaibo.same(folder, tmp_path / "q.gguf", settings=kaibo.Settings(workers=1)).rows
        assert row.tensors[0].verdict == ("changed" if at else "within")


def beside(packing: str, noise: float, tmp_path: Path) -> SameRow:
    """A sample of a packing beside its own values, each moved by normal noise in units of the mean step."""
    random = np.random.default_rng(0)
    sample = SAMPLES[packing](random)
    packed = sample.written(tmp_path / "packed")
    (weight,) = [one for one in open_model(packed).weights if packed_under(one) is not None]
    step = np.abs(next(codes.codes(weight, 0, weight.size)).tile.scales).mean()
    moved = (sample.expected[weight.name] + random.normal(0, noise * step, weight.shape)).astype(np.float32)
    plain = {weight.name: ("F32", weight.shape, moved.view(np.uint32))}
    other = Sample(plain, {}).written(tmp_path / "plain")
    (row,) = kaibo.same(other, packed, settings=kaibo.Settings(workers=1)).rows
    return row


@pytest.mark.parametrize("packing", ["gptq", "awq"])
def test_codes_that_were_chosen_together_are_near_and_never_within(packing: str, tmp_path: Path) -> None:
    """GPTQ moves the error of one column into the next: values lie outside their cells, most within a step."""
    row = beside(packing, 0.5, tmp_path)
    (coded,) = [one for one in row.tensors if one.in_step is not None]
    assert (row.verdict, coded.verdict) == ("near", "near")
    assert coded.inside is not None
    assert coded.in_step is not None
    assert coded.in_step > coded.inside > (coded.expected_inside or 1)


def test_unrelated_values_are_near_no_codes(tmp_path: Path) -> None:
    row = beside("gptq", 100.0, tmp_path)
    assert (row.verdict, row.n_near) == ("different", 0)
