"""Every packed type of GGUF against the package's own decoding, bit for bit, and cells that hold their values."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kaibo.chapters.same import codes
from kaibo.models import open_model
from kaibo.models.formats.gguf import BLOCKS
from kaibo.models.packings.ggml import KINDS
from kaibo.vocabulary import Tensor
from made_gguf import write_gguf

gguf = pytest.importorskip("gguf")

CODES = {name: code for code, (name, _, _) in BLOCKS.items()}
REFERENCED = sorted(set(KINDS) - {"Q8_1", "Q8_K", "Q1_0"})
"""The others have no decoder in the package."""


def blocks(name: str, rows: int = 5, seed: int = 0) -> np.ndarray:
    _, _, width = BLOCKS[CODES[name]]
    return np.random.default_rng(seed).integers(0, 256, (rows, 3 * width), dtype=np.uint8)


def written(path: Path, name: str, data: np.ndarray) -> Tensor:
    shape = len(data), data.shape[1] // BLOCKS[CODES[name]][2] * BLOCKS[CODES[name]][1]
    write_gguf(path, {"general.architecture": "llama"}, {"blk.0.ffn_up.weight": (CODES[name], shape, data.tobytes())})
    (weight,) = open_model(path).weights
    assert weight.shape == shape
    return weight


def read(tensor: Tensor, room: int = 1 << 16, begin: int = 0, end: int | None = None) -> np.ndarray:
    found = [chunk.copy() for chunk in tensor.chunks(np.empty(room, np.uint8), begin, end)]
    return np.concatenate([np.empty(0, "<u4"), *found]).view("<f4")


def test_every_type_of_the_package_is_listed_and_decoded() -> None:
    sizes = {kind.name: size for kind, size in gguf.GGML_QUANT_SIZES.items() if size[0] > 1}
    assert {name: (values, width) for name, values, width in BLOCKS.values()} == sizes
    assert {int(kind): kind.name for kind in gguf.GGMLQuantizationType if kind.name in sizes} == {
        code: name for code, (name, _, _) in BLOCKS.items()
    }
    assert set(KINDS) == set(sizes)


@pytest.mark.parametrize("name", REFERENCED)
def test_values_are_those_of_the_package_bit_for_bit(tmp_path: Path, name: str) -> None:
    data = blocks(name)
    with np.errstate(all="ignore"):
        expected = gguf.quants.dequantize(data, gguf.GGMLQuantizationType[name]).astype(np.float32).reshape(-1)
    got = read(written(tmp_path / "x.gguf", name, data))
    finite = ~np.isnan(expected)
    assert (np.isnan(got) == ~finite).all()
    np.testing.assert_array_equal(got.view(np.uint32)[finite], expected.view(np.uint32)[finite])


@pytest.mark.parametrize("name", sorted(KINDS))
def test_ranges_of_blocks_are_slices_of_the_whole(tmp_path: Path, name: str) -> None:
    weight = written(tmp_path / "x.gguf", name, blocks(name))
    whole, random = read(weight), np.random.default_rng(1)
    for _ in range(10):
        begin, end = sorted(random.integers(0, weight.size + 1, 2).tolist())
        np.testing.assert_array_equal(read(weight, int(random.integers(4, 999)), begin, end), whole[begin:end])


@pytest.mark.parametrize("name", sorted(KINDS))
def test_a_value_lies_in_the_cell_of_its_own_code(tmp_path: Path, name: str) -> None:
    data = blocks(name)
    weight = written(tmp_path / "x.gguf", name, data)
    (found,) = codes.codes(weight, 0, weight.size)
    tally = codes.compared(read(weight), found, (0.0, 0.0), 0)
    assert (tally.inside, tally.equal, tally.far) == (weight.size, weight.size, 0)
