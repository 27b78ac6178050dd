"""4-bit codes that were widened again show in groups of neighbours, and only there."""

from __future__ import annotations

import numpy as np
import pytest

from kaibo.counting import Workspace, count_groups
from kaibo.testing.arrays import array_tensor
from kaibo.testing.models import encode


def widened(rng: np.random.Generator, size: int) -> np.ndarray:
    """Weights on a grid of 16 levels, each group of `size` with a scale of its own."""
    codes = rng.integers(-8, 8, (64, 1024 // size, size))
    scales = rng.uniform(0.001, 0.01, (64, 1024 // size, 1))
    return (codes * scales).astype(np.float32).reshape(64, 1024)


@pytest.mark.parametrize("size", [32, 64, 128])
@pytest.mark.parametrize("dtype", ["BF16", "F32"])
def test_groups_that_shared_a_scale_are_found_at_their_size(size: int, dtype: str) -> None:
    patterns = encode(dtype, widened(np.random.default_rng(0), size))
    found = {groups.size: groups for groups in count_groups(array_tensor(dtype, patterns), Workspace())}
    assert all(groups.coarse == groups.varied > 0 for at, groups in found.items() if at <= size)
    assert all(groups.coarse == 0 for at, groups in found.items() if at > size)


def test_random_weights_have_no_coarse_groups() -> None:
    values = np.random.default_rng(0).standard_normal((64, 1024)).astype(np.float32)
    assert all(groups.coarse == 0 for groups in count_groups(array_tensor("BF16", encode("BF16", values)), Workspace()))


def test_groups_of_one_value_say_nothing() -> None:
    (first, *_) = count_groups(array_tensor("BF16", np.zeros((4, 128), np.uint16)), Workspace())
    assert (first.groups, first.varied, first.coarse) == (16, 0, 0)


def test_a_size_that_does_not_divide_the_last_axis_is_not_tried() -> None:
    assert count_groups(array_tensor("BF16", np.zeros((4, 100), np.uint16)), Workspace()) == ()
