"""Files of torch.save: the values that torch.load gives, read without it, by range and under the model's own names."""

from __future__ import annotations

import contextlib
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

import kaibo
from kaibo.errors import FormatError, KaiboError, MissingError, PolicyError
from kaibo.models import open_model
from kaibo.models.formats import read
from kaibo.models.places.folder import LocalFile
from kaibo.models.runs.checkpoints import checkpoints_of
from kaibo.testing import tiny_model
from kaibo.vocabulary import Model, Tensor

TYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "F8_E4M3FNUZ": torch.float8_e4m3fnuz,
    "F8_E5M2FNUZ": torch.float8_e5m2fnuz,
    "F8_E8M0": torch.float8_e8m0fnu,
    "C64": torch.complex64,
    "I64": torch.int64,
    "U64": torch.uint64,
    "I32": torch.int32,
    "U32": torch.uint32,
    "I16": torch.int16,
    "U16": torch.uint16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


def saved(path: Path, value: Any, **how: Any) -> Model:
    torch.save(value, path, **how)
    return open_model(path)


def bits(tensor: Tensor, room: int = 1 << 12) -> bytes:
    return b"".join(chunk.tobytes() for chunk in tensor.chunks(np.empty(room, np.uint8)))


def bits_of(tensor: torch.Tensor) -> bytes:
    flat = tensor.detach().contiguous().flatten()
    return flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b""


def named(model: Model) -> dict[str, Tensor]:
    return {tensor.name: tensor for tensor in model.tensors}


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_every_type_is_read_bit_for_bit(tmp_path: Path, protocol: int) -> None:
    counted = torch.arange(24).reshape(2, 3, 4)
    held = {name: counted > 7 if name == "BOOL" else counted.to(kind) for name, kind in TYPES.items()}
    found = named(saved(tmp_path / "a.pt", held, pickle_protocol=protocol))
    assert {name: (one.dtype.name, one.shape) for name, one in found.items()} == {
        name: (name, (2, 3, 4)) for name in TYPES
    }
    assert {name: bits(one) for name, one in found.items()} == {name: bits_of(one) for name, one in held.items()}


def test_complex_numbers_of_128_bits_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match='tensor "z"'):
        saved(tmp_path / "a.pt", {"z": torch.zeros(2, dtype=torch.complex128)})


def views() -> dict[str, torch.Tensor]:
    random = torch.Generator().manual_seed(0)
    matrix, cube = torch.randn(37, 29, generator=random), torch.randn(4, 5, 6, 7, generator=random)
    return {
        "matrix": matrix,
        "turned": matrix.t(),
        "sliced": matrix[3:30:2, 5:27:3],
        "column": matrix[:, 7],
        "one": matrix[5, 6],
        "repeated": matrix[:1, :1].expand(6, 4),
        "axes": cube.permute(2, 0, 3, 1),
        "inner": cube[1:3, :, 2:4].transpose(1, 3),
        "empty": torch.zeros(0, 4),
        "last": matrix.flatten()[-3:],
        "parameter": torch.nn.Parameter(matrix[2]),
    }


@pytest.mark.parametrize("room", [8, 100, 1 << 14])
def test_views_of_any_strides_are_read_in_row_major_order(tmp_path: Path, room: int) -> None:
    held = views()
    found = named(saved(tmp_path / "a.bin", held))
    assert {name: one.shape for name, one in found.items()} == {name: tuple(one.shape) for name, one in held.items()}
    for name, tensor in held.items():
        assert bits(found[name], room) == bits_of(tensor), name


@pytest.mark.parametrize("band", [64, 400, 1 << 24])
@pytest.mark.parametrize("span", [16, 1 << 22])
def test_however_little_is_held_at_a_time_views_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, band: int, span: int
) -> None:
    from kaibo.models.formats import pieces

    for name, value in (("BAND", band), ("SPAN", span), ("_CHEAP", min(span, 1 << 14))):
        monkeypatch.setattr(pieces, name, value)
    held = views()
    found = named(saved(tmp_path / "a.bin", held))
    random = np.random.default_rng(0)
    for name, tensor in held.items():
        begin, end = sorted(random.integers(0, tensor.numel() + 1, 2).tolist())
        part = b"".join(chunk.tobytes() for chunk in found[name].chunks(np.empty(60, np.uint8), begin, end))
        assert part == bits_of(tensor)[4 * begin : 4 * end], name


def test_values_stored_big_end_first_are_turned(tmp_path: Path) -> None:
    weight = torch.arange(6, dtype=torch.float32).reshape(2, 3)
    torch.save({"w": weight, "t": weight.t()}, tmp_path / "little.pt")
    with zipfile.ZipFile(tmp_path / "little.pt") as old, zipfile.ZipFile(tmp_path / "big.pt", "w") as new:
        for name in old.namelist():
            data = old.read(name)
            data = np.frombuffer(data, "<f4").astype(">f4").tobytes() if "/data/" in name else data
            new.writestr(name.replace("little", "big"), b"big" if name.endswith("byteorder") else data)
    found = named(open_model(tmp_path / "big.pt"))
    assert {name: bits(one) for name, one in found.items()} == {"w": bits_of(weight), "t": bits_of(weight.t())}


def test_a_tied_tensor_is_counted_once_and_told(tmp_path: Path) -> None:
    table = torch.randn(8, 4)
    model = saved(tmp_path / "a.bin", {"lm_head.weight": table, "wte.weight": table, "b": table[0]})
    assert sorted(named(model)) == ["b", "wte.weight"]
    assert "tied, counted once: lm_head.weight = wte.weight" in model.notes


@pytest.mark.parametrize(
    ("wrapped", "left"),
    [
        (lambda weights: weights, ""),
        (
            lambda weights: {"model": weights, "optimizer": {"state": {0: {"exp_avg": torch.ones(3)}}}, "epoch": 3},
            "optimizer (1)",
        ),
        (lambda weights: {"state_dict": weights, "ema": {"w": torch.ones(2)}, "args": None}, "ema (1)"),
        (lambda weights: {"module": {"model": weights}, "rng_state": torch.ones(5)}, "rng_state (1)"),
        (lambda weights: {"epoch": 1, "mine": weights, "optim_states": [torch.ones(1)]}, "optim_states (1)"),
    ],
)
def test_the_weights_of_a_checkpoint_are_found_under_their_own_names(
    tmp_path: Path, wrapped: Any, left: str | None
) -> None:
    weights = {"h.0.weight": torch.randn(3, 2), "h.0.bias": torch.randn(3)}
    model = saved(tmp_path / "a.pt", wrapped(weights))
    assert set(named(model)) == set(weights)
    assert left in " ".join(model.notes)


def test_settings_and_counters_beside_the_weights_are_seen_and_left_alone(tmp_path: Path) -> None:
    import argparse
    from collections import Counter, defaultdict

    state = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3)).state_dict()  # has _metadata
    beside = {
        "args": argparse.Namespace(lr=1e-3, out=Path("x")),
        "rng": np.random.RandomState(0).get_state(),
        "best": np.float64(3.0),
        "seen": Counter("aab"),
        "lists": defaultdict(list, a=[1]),
        "device": torch.device("cpu"),
        "size": torch.Size([1, 2]),
        "kind": torch.bfloat16,
        "set": {1, 2},
    }
    assert set(named(saved(tmp_path / "a.pt", {"state_dict": state} | beside))) == set(state)


def test_a_series_with_an_index_is_one_model_and_the_same_as_in_safetensors(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "safe", layers=2)
    expected = open_model(folder)
    held = {
        one.name: torch.frombuffer(bytearray(bits(one)), dtype=torch.bfloat16).reshape(one.shape)
        for one in expected.tensors
    }
    other = tmp_path / "torch"
    other.mkdir()
    (other / "config.json").write_text((folder / "config.json").read_text())
    names = sorted(held)
    files = {f"pytorch_model-0000{part + 1}-of-00002.bin": names[part::2] for part in range(2)}
    for file, part in files.items():
        torch.save({name: held[name] for name in part}, other / file)
    weight_map = {name: file for file, part in files.items() for name in part}
    (other / "pytorch_model.bin.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    for index in (True, False):
        if not index:
            (other / "pytorch_model.bin.index.json").unlink()
        found = open_model(other)
        assert found.family == expected.family
        assert [(one.canonical, one.role, one.layer, one.shape, bits(one)) for one in found.tensors] == [
            (one.canonical, one.role, one.layer, one.shape, bits(one)) for one in expected.tensors
        ]
    (other / "pytorch_model-00002-of-00002.bin").unlink()
    with pytest.raises(MissingError, match="00002-of-00002"):
        open_model(other)


def test_digits_stats_and_differences_are_those_of_the_same_weights_in_safetensors(tmp_path: Path) -> None:
    random = torch.Generator().manual_seed(0)
    made = {
        f"{number}": {
            "model.embed_tokens.weight": torch.randn(20, 8, generator=random).bfloat16(),
            "model.layers.0.self_attn.q_proj.weight": torch.randn(8, 8, generator=random).bfloat16().t(),
        }
        for number in range(2)
    }
    for name, held in made.items():
        for folder in (tmp_path / f"safe{name}", tmp_path / f"torch{name}"):
            folder.mkdir()
        save_file({key: one.contiguous() for key, one in held.items()}, tmp_path / f"safe{name}" / "model.safetensors")
        torch.save(held | {"lm_head.weight": held["model.embed_tokens.weight"]}, tmp_path / f"torch{name}" / "model.pt")
    ignored = {"model", "base", "tuned", "seconds"}

    def rows(found: Any) -> list[dict[str, Any]]:
        return [{key: value for key, value in vars(row).items() if key not in ignored} for row in found.rows]

    for verb in (kaibo.digits, kaibo.stats):
        one, other = (rows(verb(tmp_path / f"{kind}0", by="tensor")) for kind in ("safe", "torch"))
        assert one == other
    one, other = (rows(kaibo.diff(*(tmp_path / f"{kind}{n}" for n in range(2))).norms) for kind in ("safe", "torch"))
    assert one == other != []


def test_ranks_of_a_model_of_meta_are_joined(tmp_path: Path) -> None:
    random = torch.Generator().manual_seed(0)
    axes = {"wq": 0, "wo": 1, "w1": 0, "w2": 1}
    whole = {
        "tok_embeddings.weight": torch.randn(10, 8, generator=random),
        "norm.weight": torch.randn(8, generator=random),
        "output.weight": torch.randn(10, 8, generator=random),
    } | {f"layers.0.{name}.weight": torch.randn(8, 8, generator=random) for name in axes}
    axis = {"tok_embeddings.weight": 1, "output.weight": 0} | {
        f"layers.0.{name}.weight": one for name, one in axes.items()
    }
    for rank in range(2):
        held = {name: one.chunk(2, axis[name])[rank].clone() if name in axis else one for name, one in whole.items()}
        torch.save(held, tmp_path / f"consolidated.{rank:02d}.pth")
    found = named(open_model(tmp_path))
    assert {name: (one.shape, bits(one, 64)) for name, one in found.items()} == {
        name: (tuple(one.shape), bits_of(one)) for name, one in whole.items()
    }


def test_a_torchscript_program_and_other_archives_are_named(tmp_path: Path) -> None:
    torch.jit.trace(torch.nn.Linear(2, 2), torch.ones(2)).save(str(tmp_path / "script.pt"))
    with pytest.raises(PolicyError, match="TorchScript"):
        open_model(tmp_path / "script.pt")
    np.savez(tmp_path / "arrays.npz", w=np.ones(3))
    with pytest.raises(FormatError, match=r"numpy \.npz"):
        open_model((tmp_path / "arrays.npz").rename(tmp_path / "arrays.bin"))
    torch.save({"w": torch.ones(2)}, tmp_path / "old.bin", _use_new_zipfile_serialization=False)
    with pytest.raises(PolicyError, match=r"before PyTorch 1\.6.*weights_only"):
        open_model(tmp_path / "old.bin")


def test_checkpoints_that_are_files_of_torch_are_a_series_and_one_that_is_named_has_its_folders_config(
    tmp_path: Path,
) -> None:
    for step in (100, 20):
        torch.save({"model": {"w": torch.ones(2)}}, tmp_path / f"step{step}.pt")
    torch.save({}, tmp_path / "optimizer.step20.pt")
    assert [one.step for one in checkpoints_of([str(tmp_path)])] == [20, 100]
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "config.json").write_text('{"model_type": "llama"}')
    torch.save({"model.norm.weight": torch.ones(2)}, tmp_path / "m" / "pytorch_model.bin")
    assert open_model(tmp_path / "m" / "pytorch_model.bin").config == {"model_type": "llama"}


def test_torch_is_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save({"w": torch.ones(2)}, tmp_path / "a.bin")

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("torch.load was called")

    monkeypatch.setattr(torch, "load", refuse)
    assert bits(open_model(tmp_path / "a.bin").tensors[0]) == np.ones(2, "f4").tobytes()


def whole_file() -> bytes:
    out = io.BytesIO()
    torch.save(views() | {"half": torch.ones(5).half()}, out)
    return out.getvalue()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), min_size=1, max_size=4), st.booleans()
)
def test_flipped_bytes_give_an_error_of_ours_or_what_torch_gives(
    tmp_path_factory: pytest.TempPathFactory, flips: list[tuple[float, int]], in_pickle: bool
) -> None:
    data = bytearray(WHOLE)
    for share, change in flips:
        data[int(share * (3000 if in_pickle else len(data)))] ^= change
    path = tmp_path_factory.getbasetemp() / "flipped.bin"
    path.write_bytes(data)
    with contextlib.suppress(KaiboError):
        found = read(LocalFile(str(path)), path.name)
        assert sum(one.dtype.bits // 8 * int(np.prod(one.shape, dtype=object)) for one in found.entries) < 1 << 25
        model = named(open_model(path))
        theirs: Any = None
        with contextlib.suppress(Exception):
            theirs = torch.load(io.BytesIO(bytes(data)), weights_only=True)
        for name, tensor in theirs.items() if isinstance(theirs, dict) else ():
            if name in model and tuple(tensor.shape) == model[name].shape and not tensor.is_conj():
                assert bits(model[name]) == bits_of(tensor), name


WHOLE = whole_file()


def test_a_model_that_transformers_would_run_says_how_its_weights_become_safetensors(tmp_path: Path) -> None:
    from kaibo.llama.engines.opening import run_model

    (tmp_path / "config.json").write_text(
        '{"model_type": "gpt2", "n_layer": 1, "n_head": 1, "n_embd": 4, "vocab_size": 8}'
    )
    torch.save({"transformer.wte.weight": torch.ones(8, 4)}, tmp_path / "pytorch_model.bin")
    with pytest.raises(MissingError, match="kaibo unpack"):
        run_model(open_model(tmp_path))
