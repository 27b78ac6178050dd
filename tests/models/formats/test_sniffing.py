"""What is no file of weights that is read is named by its first bytes, in one line, with what to do about it."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from kaibo.errors import KaiboError
from kaibo.models import open_model


def tarred(*names: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name in names:
            archive.addfile(tarfile.TarInfo(name))
    return out.getvalue()


def zipped(*names: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in names:
            archive.writestr(name, b"")
    return out.getvalue()


FILES = {
    "tf_model.h5": (b"\x89HDF\r\n\x1a\n" + bytes(60), "HDF5", "save the weights as safetensors"),
    "flax_model.msgpack": (
        b"\x82\xa6params\x81\xa1w\xc4\x01a" + bytes(60),
        "msgpack",
        "save the weights as safetensors",
    ),
    "model.nemo": (tarred("model_config.yaml", "model_weights.ckpt"), "NeMo", "unpack it"),
    "weights.npz": (zipped("w.npy"), "numpy .npz", "as safetensors"),
    "model.keras": (zipped("config.json", "model.weights.h5"), "Keras", "as safetensors"),
    "a.npy": (b"\x93NUMPY\x01\x00" + bytes(60), "numpy .npy", "fetch the weights"),
    "model.ckpt.index": (bytes(60) + b"\x57\xfb\x80\x8b\x24\x75\x47\xdb", "TensorFlow checkpoint", "as safetensors"),
    "model.tflite": (b"\x1c\x00\x00\x00TFL3" + bytes(60), "TensorFlow Lite", "name the model"),
    "ggml-model-q4.bin": (b"tjgg" + bytes(60), "before GGUF", "llama.cpp"),
    "model.bin": (b"lmgg" + bytes(60), "before GGUF", "llama.cpp"),
    "model.engine": (b"ptrt" + bytes(60), "TensorRT", "name the model"),
    "weights.tar.gz": (b"\x1f\x8b\x08" + bytes(60), "gzip", "unpack it"),
    "page.bin": (b"<!DOCTYPE html><html>", "HTML page", "fetch it again"),
    "pointer.bin": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git-LFS", "git lfs pull"),
    "zeros.bin": (bytes(5000), "zero bytes", "fetch it again"),
    "noise.pt": (b"\x13\x37" * 40, "is not a file of torch.save", "PyTorch writer"),
    "saved.pkl": (b"\x80\x04}.", "pickle", "safetensors"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_named_for_what_it_is_with_what_to_do(tmp_path: Path, name: str) -> None:
    data, kind, what = FILES[name]
    (tmp_path / name).write_bytes(data)
    with pytest.raises(KaiboError) as caught:
        open_model(tmp_path / name)
    assert caught.value.exit in (3, 7)
    assert kind in caught.value.line
    assert what in caught.value.line
    assert "\n" not in caught.value.line


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("tf_model.h5", "Keras"),
        ("flax_model.msgpack", "Flax"),
        ("manifest.ocdbt", "Orbax"),
        ("_METADATA", "Orbax"),
        ("model.ckpt-100.index", "TensorFlow"),
        ("saved_model.pb", "SavedModel"),
        ("model.nemo", "NeMo"),
        ("weights.npz", "numpy"),
        ("rank0.engine", "TensorRT"),
    ],
)
def test_a_folder_that_holds_nothing_else_is_told_so(tmp_path: Path, name: str, kind: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(KaiboError, match=kind) as caught:
        open_model(tmp_path)
    assert caught.value.exit == 4
    assert name in caught.value.line
