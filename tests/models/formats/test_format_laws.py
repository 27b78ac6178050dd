"""What must hold for every format that is listed: where bytes lie, what they are, and that cut files are refused."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed.checkpoint

from kaibo.errors import KaiboError
from kaibo.models.formats import FORMATS, format_named, read, stored
from kaibo.models.places.folder import LocalFile
from kaibo.testing import tiny_adapter, tiny_model
from made_gguf import write_gguf
from made_onnx import write_onnx

Writer = Callable[[Path], Path]

WRITERS: Mapping[str, Writer] = {
    "safetensors": lambda folder: tiny_model(folder / "model", layers=1) / "model.safetensors",
    "gguf": lambda folder: write_gguf(
        folder / "model.gguf", {"general.architecture": "llama"}, {"w": ("F32", (4, 8), bytes(range(128)))}
    ),
    "torch": lambda folder: write_torch(folder / "pytorch_model.bin"),
    "torch_distributed": lambda folder: write_distributed(folder / "checkpoint"),
    "onnx": lambda folder: write_onnx(
        folder / "model.onnx", {"w": (1, (4, 8), bytes(range(128))), "q": (3, (2, 2), b"abcd")}
    ),
    "adapter": lambda folder: tiny_adapter(folder / "adapter") / "adapter_model.safetensors",
}
"""What writes a small file of each format: the laws run over all of them."""


def write_torch(path: Path) -> Path:
    random = torch.Generator().manual_seed(0)
    weight = torch.randn(7, 5, generator=random)
    torch.save({"w": weight, "turned": torch.randn(4, 6, generator=random).t(), "b": weight.bfloat16()[3]}, path)
    return path


def write_distributed(folder: Path) -> Path:
    random = torch.Generator().manual_seed(0)
    held = {"w": torch.randn(7, 5, generator=random), "turned": torch.randn(4, 6, generator=random).t()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.distributed.checkpoint.save(held, checkpoint_id=folder, no_dist=True)
    return folder / ".metadata"


def beside(path: Path) -> Callable[[str], LocalFile]:
    return lambda name: LocalFile(str(path.parent / name))


@pytest.fixture(params=[one.name for one in FORMATS])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return WRITERS[request.param](tmp_path)


def test_every_format_that_is_listed_has_a_writer() -> None:
    assert {one.name for one in FORMATS} == set(WRITERS)


def test_a_file_is_known_by_its_name_and_by_its_first_bytes(path: Path) -> None:
    named = format_named(path.name)
    assert named is not None
    assert named.claims(path.name, path.read_bytes()[:4096])


def test_entries_lie_inside_the_file_beside_each_other_and_are_as_long_as_they_say(path: Path) -> None:
    entries = sorted(
        read(LocalFile(str(path)), path.name, beside(path)).entries, key=lambda entry: (entry.begin, entry.end)
    )
    assert len({entry.name for entry in entries}) == len(entries) > 0
    for entry in entries:
        size = entry.pieces[0].place.size if entry.pieces else path.stat().st_size
        assert 0 < entry.begin <= entry.end <= size
        stretches = [piece.size for piece in entry.pieces] or [(entry.end - entry.begin) * 8 // entry.dtype.bits]
        assert int(np.prod(entry.shape)) == sum(stretches)
    for one, other in pairwise(entries):
        assert one.end <= other.begin


def test_reading_twice_says_the_same_and_names_the_same_bytes(path: Path) -> None:
    place = LocalFile(str(path))
    one, other = (read(place, path.name, beside(path)) for _ in range(2))
    assert one == other
    keys = [stored(entry, one.digest, place).source_key for entry in one.entries]
    assert len(set(keys)) == len(keys)
    assert None not in keys


def test_any_range_is_the_bytes_of_the_file(path: Path) -> None:
    place, data = LocalFile(str(path)), path.read_bytes()
    contents = read(place, path.name, beside(path))
    random = np.random.default_rng(0)
    for entry in contents.entries:
        tensor = stored(entry, contents.digest, place)
        begin, end = sorted(random.integers(0, tensor.size + 1, 2).tolist())
        width = entry.dtype.itemsize
        chunks = tensor.chunks(np.empty(width * int(random.integers(1, 50)), np.uint8), begin, end)
        found = b"".join(chunk.tobytes() for chunk in chunks)
        if not entry.pieces:
            assert found == data[entry.begin + begin * width : entry.begin + end * width]
        whole = b"".join(chunk.tobytes() for chunk in tensor.chunks(np.empty(1 << 16, np.uint8)))
        assert found == whole[begin * width : end * width]


def test_a_file_that_is_cut_anywhere_is_refused_in_our_own_words(path: Path, tmp_path: Path) -> None:
    data = path.read_bytes()
    for length in {0, 1, 7, 8, 9, 20, 100, len(data) // 2, len(data) - 1}:
        cut = tmp_path / path.name
        cut.write_bytes(data[:length])
        with pytest.raises(KaiboError):
            read(LocalFile(str(cut)), path.name)


def test_a_flipped_byte_is_read_or_refused_never_another_error(path: Path, tmp_path: Path) -> None:
    data = bytearray(path.read_bytes())
    random = np.random.default_rng(0)
    changed = tmp_path / path.name
    for place in random.integers(0, min(len(data), 2000), 100):
        damaged = bytearray(data)
        damaged[place] ^= 1 << int(random.integers(0, 8))
        changed.write_bytes(damaged)
        with contextlib.suppress(KaiboError):
            read(LocalFile(str(changed)), path.name, beside(path))
