"""ONNX: initialisers are read where they lie, in the file or beside it; codes are no weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kaibo.errors import FormatError, KaiboError, MissingError, PolicyError
from kaibo.models import open_model
from kaibo.models.formats import protobuf
from kaibo.vocabulary import Tensor
from made_onnx import field, model, node, number, tensor, write_onnx

WEIGHT = np.arange(12, dtype="<f4").reshape(3, 4)


def bits(one: Tensor) -> bytes:
    return b"".join(chunk.tobytes() for chunk in one.chunks(np.empty(24, np.uint8)))


def test_initialisers_are_read_from_raw_bytes_and_from_numbers(tmp_path: Path) -> None:
    floats = b"".join(field(1, axis) for axis in (3, 4)) + field(2, 1) + field(8, "floats") + field(4, WEIGHT.tobytes())
    held = [
        tensor("raw", 1, (3, 4), WEIGHT.tobytes()),
        tensor("half", 10, (12,), WEIGHT.astype("<f2").tobytes(), packed=True),
        tensor("scalar", 11, (), np.float64(2).tobytes()),
        tensor("none", 1, (0, 4), b""),
        floats,
        field(1, 2) + field(2, 7) + field(8, "shape") + field(7, number(3) + number(4)),
    ]
    (tmp_path / "model.onnx").write_bytes(model(held))
    opened = open_model(tmp_path)
    found = {one.name: one for one in opened.tensors}
    assert {name: one.shape for name, one in found.items()} == {
        "raw": (3, 4), "half": (12,), "scalar": (), "none": (0, 4), "floats": (3, 4),
    }  # fmt: skip
    assert bits(found["raw"]) == bits(found["floats"]) == WEIGHT.tobytes()
    assert bits(found["half"]) == WEIGHT.astype("<f2").tobytes()
    assert any("1 initialisers are spelled out as numbers and left out: shape" in note for note in opened.notes)


def test_data_beside_the_file_are_read_by_range(tmp_path: Path) -> None:
    (tmp_path / "model.onnx_data").write_bytes(b"junk" * 4 + WEIGHT.tobytes())
    where = {"location": "model.onnx_data", "offset": "16", "length": "48"}
    write_onnx(tmp_path / "model.onnx", {"w": (1, (3, 4), where)})
    (found,) = open_model(tmp_path).tensors
    assert bits(found) == WEIGHT.tobytes()
    (tmp_path / "model.onnx_data").write_bytes(b"short")
    with pytest.raises(FormatError, match='tensor "w"'):
        open_model(tmp_path)
    (tmp_path / "model.onnx_data").unlink()
    with pytest.raises(MissingError, match="onnx_data"):
        open_model(tmp_path)


@pytest.mark.parametrize(
    "location", ["../secret", "/etc/passwd", "..\\secret", "%2e%2e/secret", "file:///etc/passwd", "a\0b", "~/x"]
)
def test_data_out_of_the_folder_are_refused(tmp_path: Path, location: str) -> None:
    (tmp_path / "secret").write_bytes(WEIGHT.tobytes())
    write_onnx(tmp_path / "m" / "model.onnx", {"w": (1, (3, 4), {"location": location})})
    with pytest.raises(PolicyError):
        open_model(tmp_path / "m")


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(WEIGHT.tobytes())
    path = write_onnx(tmp_path / "m" / "model.onnx", {"w": (1, (3, 4), {"location": "data"})})
    (path.parent / "data").symlink_to(tmp_path / "secret")
    with pytest.raises(PolicyError):
        open_model(tmp_path / "m")


def test_codes_are_counted_and_their_scales_are_no_weights(tmp_path: Path) -> None:
    held = [
        tensor("a", 3, (8, 4), bytes(32)),
        tensor("s", 1, (8,), np.ones(8, "<f4").tobytes()),
        tensor("b_quantized", 2, (4, 4), bytes(16)),
        tensor("b_scale", 1, (), np.ones(1, "<f4").tobytes()),
        tensor("four", 22, (2, 3), bytes(3)),
        tensor("norm", 1, (6,), np.ones(6, "<f4").tobytes()),
    ]
    (tmp_path / "model.onnx").write_bytes(model(held, [node("DequantizeLinear", ["a", "s"])]))
    opened = open_model(tmp_path)
    assert [one.name for one in opened.weights] == ["norm"]
    assert opened.undecoded == 32 + 16 + 6
    assert opened.seen == 6 / 60


BROKEN = {
    "bytes that are too few": model([tensor("w", 1, (3, 4), b"abc")]),
    "bytes that are too many": model([tensor("w", 1, (3,), bytes(16))]),
    "a negative dimension": model([tensor("w", 1, (-1, 4), b"")]),
    "a shape that wraps": model([tensor("w", 1, (1 << 33, 1 << 33), b"")]),
    "an unknown type": model([tensor("w", 99, (1,), bytes(4))]),
    "texts": model([tensor("w", 8, (1,), bytes(4))]),
    "two of one name": model([tensor("w", 1, (1,), bytes(4))] * 2),
    "a field past its message": model([])[:-3] + b"\x3a\xff\xff\x7f",
    "a number without an end": field(1, 8) + b"\xff" * 30,
    "field zero": field(1, 8) + b"\x00\x00",
    "a group": field(1, 8) + b"\x0b\x0c",
    "no graph": field(1, 8) + field(2, "pytorch"),
    "an offset that is no number": model([tensor("w", 1, (1,), {"location": "x", "offset": "-1"})]),
    "dimensions without end": model([field(1, b"\x01" * 100_000) + field(2, 1) + field(8, "w")]),
    "a thousand dimensions": model([tensor("w", 1, (1,) * 1000, bytes(4), packed=True)]),
    "an HTML page": b"<!doctype html><html>",
    "nothing": b"",
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_malformed_file_is_refused(tmp_path: Path, what: str) -> None:
    (tmp_path / "x").write_bytes(bytes(4))
    (tmp_path / "model.onnx").write_bytes(BROKEN[what])
    with pytest.raises(KaiboError) as caught:
        open_model(tmp_path)
    assert caught.value.exit == 3


def test_tensors_that_repeat_each_others_bytes_are_no_bomb(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(bytes(1 << 20))
    where = {"location": "data", "length": str(1 << 20)}
    write_onnx(tmp_path / "model.onnx", {f"w{n}": (1, (1 << 18,), where) for n in range(40)})
    with pytest.raises(FormatError, match="repeat each other"):
        open_model(tmp_path)


def test_fields_without_end_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protobuf, "FIELDS", 1000)
    (tmp_path / "model.onnx").write_bytes(field(1, 8) * 2000)
    with pytest.raises(FormatError, match="more than 1000 fields"):
        open_model(tmp_path)


def test_an_onnx_file_by_another_name_is_known(tmp_path: Path) -> None:
    path = write_onnx(tmp_path / "model.onnx", {"w": (1, (3, 4), WEIGHT.tobytes())}).rename(tmp_path / "weights")
    assert len(open_model(path).tensors) == 1
