"""What the tests of packings share: a file is written, its one weight opened, its values read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from packed_samples import Sample, Stored

from kaibo.models import open_model
from kaibo.vocabulary import Model, Tensor


def values(tensor: Tensor, room: int = 1 << 16) -> np.ndarray:
    """All values of a tensor in its shape, read through a buffer of that many bytes."""
    read = [chunk.copy() for chunk in tensor.chunks(np.empty(room, np.uint8))]
    return np.concatenate([np.empty(0, "<u4"), *read]).view("<f4").reshape(tensor.shape)


def model_of(folder: Path, stored: Stored, config: Mapping[str, Any] | None = None) -> Model:
    """A model of one file."""
    return open_model(Sample(stored, {}, config or {}).written(folder))


def weight_of(folder: Path, stored: Stored, config: Mapping[str, Any] | None = None) -> Tensor:
    """The one weight of a model."""
    (weight,) = model_of(folder, stored, config).weights
    return weight


NAMES = {
    "float32": "F32",
    "float16": "F16",
    "bfloat16": "BF16",
    "float8_e4m3fn": "F8_E4M3",
    "float8_e8m0fnu": "F8_E8M0",
    "int64": "I64",
    "int32": "I32",
    "int8": "I8",
    "uint8": "U8",
}


def of_torch(tensors: Mapping[str, Any]) -> Stored:
    """Tensors of torch as they are written to a file."""
    import torch

    return {
        name: (
            NAMES[str(tensor.dtype).removeprefix("torch.")],
            tuple(tensor.shape),
            np.frombuffer(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes(), np.uint8),
        )
        for name, tensor in tensors.items()
    }


def same(got: np.ndarray, expected: np.ndarray) -> None:
    """The same bits; any NaN is as good as any other."""
    assert got.shape == expected.shape
    known = ~np.isnan(expected)
    assert (np.isnan(got) == ~known).all()
    np.testing.assert_array_equal(got.view(np.uint32)[known], expected.astype(np.float32).view(np.uint32)[known])
