"""bitsandbytes: what its own package gives, and states that do not fit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from packed_samples import STEM, bitsandbytes
from reading import model_of, of_torch, same, values, weight_of

WEIGHT = f"{STEM}.weight"
SAID = {"quantization_config": {"quant_method": "bitsandbytes"}}


@pytest.mark.parametrize("kind", ["nf4", "fp4"])
@pytest.mark.parametrize("nested", [True, False])
@pytest.mark.parametrize("storage", ["uint8", "bfloat16"])
def test_values_are_those_of_the_package(tmp_path: Path, kind: str, nested: bool, storage: str) -> None:
    """Rows of whole blocks: on some processors the package decodes others wrongly (bitsandbytes 0.50.2)."""
    torch = pytest.importorskip("torch")
    functional = pytest.importorskip("bitsandbytes.functional")
    torch.manual_seed(0)
    plain = torch.randn(24, 128) * 0.02
    codes, state = functional.quantize_4bit(
        plain, quant_type=kind, compress_statistics=nested, quant_storage=getattr(torch, storage)
    )
    expected = functional.dequantize_4bit(codes, state)
    parts = {WEIGHT: codes, **{f"{WEIGHT}.{name}": part for name, part in state.as_dict(packed=True).items()}}
    got = values(weight_of(tmp_path / "m", of_torch(parts), SAID))
    if kind == "fp4":  # its second zero has a sign on some processors; the table in the file has none
        np.testing.assert_array_equal(got, expected.numpy())
    else:
        same(got, expected.numpy())


@pytest.mark.parametrize("shape", [(5, 7), (3, 50), (1, 1), (2, 3, 31)])
@pytest.mark.parametrize("nested", [True, False])
def test_blocks_run_on_over_the_ends_of_rows(tmp_path: Path, shape: tuple[int, ...], nested: bool) -> None:
    """Against the package's steps in torch: look up, multiply with the block's largest, cut."""
    torch = pytest.importorskip("torch")
    functional = pytest.importorskip("bitsandbytes.functional")
    plain = torch.randn(*shape, generator=torch.Generator().manual_seed(1))
    codes, state = functional.quantize_4bit(plain, quant_type="nf4", compress_statistics=nested, blocksize=64)
    flat = codes.reshape(-1).long()
    looked_up = state.code[torch.stack([flat >> 4, flat & 15], 1).reshape(-1)][: plain.numel()]
    absmax = state.absmax
    if nested:
        absmax = state.state2.code[state.absmax.long()] * state.state2.absmax.repeat_interleave(256)[: absmax.numel()]
        absmax = absmax + state.offset
    expected = looked_up * absmax.repeat_interleave(64)[: plain.numel()]
    parts = {WEIGHT: codes, **{f"{WEIGHT}.{name}": part for name, part in state.as_dict(packed=True).items()}}
    same(values(weight_of(tmp_path / "m", of_torch(parts), SAID), 64), expected.reshape(shape).numpy())


def test_bytes_of_rows_are_multiplied_by_the_row_and_by_one_in_127(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    functional = pytest.importorskip("bitsandbytes.functional")
    plain = torch.randn(9, 33, generator=torch.Generator().manual_seed(1)).half()
    codes, largest, _ = functional.int8_vectorwise_quant(plain)
    expected = torch.ops.bitsandbytes.int8_vectorwise_dequant.default(codes, largest)
    parts = {WEIGHT: codes, f"{STEM}.SCB": largest, f"{STEM}.weight_format": torch.zeros((), dtype=torch.uint8)}
    model = model_of(tmp_path / "m", of_torch(parts), SAID)
    (weight,) = model.weights
    same(values(weight), expected.float().numpy())
    assert model.seen == 1.0
    parts[f"{STEM}.weight_format"] += 2
    other = model_of(tmp_path / "turing", of_torch(parts), SAID)
    assert other.weights == ()
    assert any("order of a graphics card" in note for note in other.notes)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"shape": [24, 101]}, "which its codes do not fill"),
        ({"shape": [2**40, 2**40]}, "which its codes do not fill"),
        ({"shape": "all"}, "neither shape nor size"),
        ({"blocksize": 2**62}, "neither shape nor size"),
        ({"blocksize": 32}, "its absmax holds 38 values, expected 75"),
        ({"nested_blocksize": 0}, "nothing of the scales of its scales"),
        ({"nested_offset": None}, "nothing of the scales of its scales"),
        ({"nested_blocksize": 7}, "its nested_absmax is missing or does not hold 6 values"),
    ],
)
def test_states_that_do_not_fit_are_said_and_nothing_is_guessed(
    tmp_path: Path, changed: dict[str, Any], why: str
) -> None:
    sample = bitsandbytes(np.random.default_rng(0))
    name = f"{WEIGHT}.quant_state.bitsandbytes__nf4"
    state = json.loads(bytes(sample.stored[name][2])) | changed
    said = np.frombuffer(json.dumps(state).encode(), np.uint8)
    model = model_of(tmp_path / "m", {**sample.stored, name: ("U8", said.shape, said)}, SAID)
    assert model.weights == ()
    (note,) = [note for note in model.notes if why in note]
    assert note.startswith(f"{WEIGHT}: ")
    assert note.endswith("; not measurable")


def test_a_state_that_is_no_json_is_said(tmp_path: Path) -> None:
    sample = bitsandbytes(np.random.default_rng(0))
    name = f"{WEIGHT}.quant_state.bitsandbytes__nf4"
    for n, raw in enumerate([b"\xff\xfe", b"[1]", b"{" * 9000]):
        said = np.frombuffer(raw, np.uint8)
        model = model_of(tmp_path / str(n), {**sample.stored, name: ("U8", said.shape, said)}, SAID)
        assert model.weights == ()
        assert any("its state" in note for note in model.notes)
