"""What must hold for every packing that is listed, each against a plain reading of its published layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from packed_samples import SAMPLES, Sample

import kaibo
from kaibo.chapters.same import codes
from kaibo.chapters.same.codes import packed_under
from kaibo.chapters.same.tallies import Tally
from kaibo.models import open_model
from kaibo.models.packings import PACKINGS, group_of
from kaibo.vocabulary import Model, Tensor

NAMES = [packing.name for packing in PACKINGS]


@pytest.fixture(params=SAMPLES)
def sample(request: pytest.FixtureRequest) -> Sample:
    return SAMPLES[request.param](np.random.default_rng(7))


@pytest.fixture
def model(sample: Sample, tmp_path: Path) -> Model:
    return open_model(sample.written(tmp_path / "model"))


def read(tensor: Tensor, room: int = 1 << 16, begin: int = 0, end: int | None = None) -> np.ndarray:
    found = [chunk.copy() for chunk in tensor.chunks(np.empty(room, np.uint8), begin, end)]
    return np.concatenate([np.empty(0, "<u4"), *found]).view("<f4")


def test_every_packing_that_is_listed_has_a_sample() -> None:
    assert set(NAMES) == {name.partition("/")[0] for name in SAMPLES}


def test_a_packed_weight_is_one_tensor_of_its_own_shape_and_its_parts_are_no_weights(
    model: Model, sample: Sample
) -> None:
    shapes = {tensor.name: tensor.shape for tensor in model.weights}
    assert shapes == {name: values.shape for name, values in sample.expected.items()}
    assert model.seen == 1.0
    held = {
        part.name for one in model.tensors if (group := group_of(one)) for part in (group.codes, *group.parts.values())
    }
    assert held | {tensor.name for tensor in model.tensors if group_of(tensor) is None} >= set(sample.stored)


def test_values_are_bit_for_bit_what_the_published_layout_says(model: Model, sample: Sample) -> None:
    for tensor in model.weights:
        expected = sample.expected[tensor.name]
        np.testing.assert_array_equal(read(tensor).reshape(tensor.shape), expected, err_msg=tensor.name)
        assert (np.signbit(read(tensor)) == np.signbit(expected.reshape(-1))).all()


def test_any_range_through_any_buffer_gives_the_same_values(model: Model, sample: Sample) -> None:
    random = np.random.default_rng(3)
    for tensor in model.weights:
        expected = sample.expected[tensor.name].reshape(-1)
        for _ in range(20):
            begin, end = sorted(random.integers(0, tensor.size + 1, 2).tolist())
            got = read(tensor, int(random.integers(64, 9000)), begin, end)
            np.testing.assert_array_equal(got, expected[begin:end])


def test_a_value_lies_in_the_cell_of_its_code_and_one_a_level_further_does_not(model: Model, sample: Sample) -> None:
    """The kernel's counts against the cells by their definition: half-way to the neighbouring levels."""
    for tensor in model.weights:
        if packed_under(tensor) is None:
            continue
        values = sample.expected[tensor.name].reshape(-1).astype(np.float32)
        low, high, values_of_codes = cells_of(tensor)
        known = np.isfinite(values) & (low < high)
        own = tally(tensor, values)
        assert own.far == 0
        assert (own.inside, own.equal) == (values.size, values.size)
        random = np.random.default_rng(1)
        moved = (values + random.normal(0, np.abs(values[known]).mean(), values.size)).astype(np.float32)
        moved[~known] = values[~known]
        wide, width = moved.astype(np.float64), np.where(np.isfinite(high - low), high - low, 0)
        slack = np.where(width > 0, width, 2 * np.fmin(values_of_codes - low, high - values_of_codes)) / 16
        plainly_in = (low <= wide) & (wide <= high)
        plainly_out = known & ((wide < low - 1.01 * slack) | (wide > high + 1.01 * slack))
        found = tally(tensor, moved).inside
        assert plainly_in.sum() + (~known).sum() <= found + 2
        assert found <= values.size - plainly_out.sum() + 2


def tally(tensor: Tensor, values: np.ndarray) -> Tally:
    found = list(codes.codes(tensor, 0, tensor.size))
    total, at = Tally(), 0
    for one in found:
        total += codes.compared(values[at : at + one.count], one, (0.0, 0.0), at)
        at += one.count
    return total


def cells_of(tensor: Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The ends of the cells and what the codes stand for, in float64."""
    ends = []
    for one in codes.codes(tensor, 0, tensor.size):
        tile, levels = one.tile, one.tiled.levels
        columns = tile.codes.shape[1]
        group = tile.group if tile.group.size else np.arange(columns) // (columns // tile.scales.shape[1])
        of = [
            part[:, group].astype(np.float64) if part.size else 0.0 for part in (tile.scales, tile.zeros, tile.offsets)
        ]
        tables = levels.low, levels.high, levels.values.astype(np.float64)
        with np.errstate(invalid="ignore"):
            three = [((table[tile.codes] - of[1]) * of[0] + of[2]) * one.tiled.factor for table in tables]
        three = [part.reshape(-1)[one.at : one.at + one.count] for part in three]
        ends.append((np.fmin(three[0], three[1]), np.fmax(three[0], three[1]), three[2]))
    return tuple(np.concatenate(parts) for parts in zip(*ends, strict=True))  # type: ignore[return-value]


def test_the_same_parts_have_the_same_source_key_and_others_another(sample: Sample, tmp_path: Path) -> None:
    keys = [tensor.source_key for tensor in open_model(sample.written(tmp_path / "a")).weights]
    again = [tensor.source_key for tensor in open_model(tmp_path / "a").weights]
    assert keys == again
    assert len(set(keys)) == len(keys)
    assert None not in keys


def test_every_command_sees_the_decoded_weights(model: Model, sample: Sample, tmp_path: Path) -> None:
    """Statistics equal those of the same weights in float32, and the two do not differ anywhere."""
    words = {
        name: ("F32", values.shape, np.ascontiguousarray(values).view(np.uint32))
        for name, values in sample.expected.items()
    }
    plain, packed = str(Sample(words, {}).written(tmp_path / "plain")), model.address
    settings = kaibo.Settings(store=tmp_path / "store")
    (one,), (other,) = (kaibo.stats(address, settings=settings).rows for address in (plain, packed))
    assert (one.n, one.mean, one.l1, one.l2, one.seen) == (other.n, other.mean, other.l1, other.l2, other.seen)
    (row,) = kaibo.diff(plain, packed, settings=settings).norms.rows
    assert row.l2 == 0.0
    assert row.seen == 1.0


def test_as_stored_the_codes_are_measured_and_kept_apart_from_the_weights(
    model: Model, sample: Sample, tmp_path: Path
) -> None:
    """Whole numbers, or small floats: few of them, whatever the scales are."""
    settings = [kaibo.Settings(store=tmp_path / "store", as_stored=how) for how in (False, True)]
    (plain,), (codes,) = (kaibo.stats(model.address, settings=one).rows for one in settings)
    assert (plain.n, plain.seen) == (codes.n, codes.seen)
    assert plain.l2 != codes.l2
    for tensor in open_model(model.address, as_stored=True).weights:
        assert np.unique(read(tensor)).size <= 256
        np.testing.assert_array_equal(read(tensor, 400, 5, 140), read(tensor)[5:140])
