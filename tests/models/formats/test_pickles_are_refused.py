"""Pickles run code when they are opened; nothing here ever opens one, whatever its wrapping or its name."""

from __future__ import annotations

import io
import os
import pickle
import struct
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from kaibo.errors import KaiboError, PolicyError
from kaibo.models import open_description, open_model
from kaibo.testing import tiny_model, write_safetensors

CANARY = "KAIBO_CANARY"


class Canary:
    def __reduce__(self) -> tuple[Any, ...]:
        return (exec, (f"import os; os.environ[{CANARY!r}] = 'sings'",))


def zipped(content: bytes, name: str = "archive/data.pkl") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(name, content)
        archive.writestr("archive/version", "3")
    return out.getvalue()


def tarred(content: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        member = tarfile.TarInfo("pickle")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


def resolver() -> bytes:
    """pkgutil.resolve_name("builtins:exec") by STACK_GLOBAL, written by hand."""
    text = b"import os; os.environ['KAIBO_CANARY'] = 'sings'"
    words = [b"pkgutil", b"resolve_name", b"builtins:exec", text]
    module, function, name, code = (b"\x8c" + bytes([len(word)]) + word for word in words)
    return b"\x80\x04" + module + function + b"\x93" + name + b"\x85R" + code + b"\x85R."


PLAIN = {f"protocol {protocol}": pickle.dumps(Canary(), protocol) for protocol in range(6)}
CANARIES = PLAIN | {
    "by name": b'c__builtin__\nexec\n(S\'import os; os.environ["KAIBO_CANARY"]="sings"\'\ntR.',
    "INST": b"(S'import os'\nibuiltins\nexec\n.",
    "resolve_name": resolver(),
    "EXT1": b"\x80\x02\x82\x01)R.",
    "EXT4": b"\x80\x02\x84\x01\x00\x00\x00)R.",
    "nested": pickle.dumps({"inner": pickle.dumps(Canary())}),
    "long string first": pickle.dumps(["x" * 10_000, Canary()]),
    "torch legacy": b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03." + PLAIN["protocol 2"],
    "ZIP": zipped(PLAIN["protocol 2"]),
    "TAR": tarred(PLAIN["protocol 2"]),
}
ARCHIVES = {"7z": b"7z\xbc\xaf\x27\x1c\x00\x04" + PLAIN["protocol 4"], "ZIP of other things": zipped(b"x", "a.txt")}


@pytest.fixture(autouse=True)
def no_song(monkeypatch: pytest.MonkeyPatch) -> Any:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("something was unpickled")

    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)
    yield
    assert CANARY not in os.environ


def test_the_canary_would_sing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    for what in ("protocol 0", "protocol 4", "by name", "resolve_name"):
        pickle.loads(CANARIES[what])
        assert os.environ.pop(CANARY) == "sings"


@pytest.mark.parametrize("extension", [".bin", ".pt", ".pth", ".ckpt", ".PT"])
@pytest.mark.parametrize("what", ["protocol 2", "torch legacy", "ZIP", "TAR", "7z"])
def test_a_pickle_given_as_a_file_is_refused(tmp_path: Path, what: str, extension: str) -> None:
    path = tmp_path / ("weights" + extension)
    path.write_bytes((CANARIES | ARCHIVES)[what])
    for opening in (open_model, open_description):
        with pytest.raises(PolicyError) as caught:
            opening(path)
        assert what != "ZIP" or 'wants "__builtin__.exec"' in caught.value.line


@pytest.mark.parametrize("name", ["model.safetensors", "weights"])
@pytest.mark.parametrize("what", CANARIES)
def test_a_pickle_by_another_name_is_refused_for_what_it_is(tmp_path: Path, what: str, name: str) -> None:
    (tmp_path / name).write_bytes(CANARIES[what])
    with pytest.raises(PolicyError, match=r"pickle"):
        open_model(tmp_path / name)
    if name == "model.safetensors":
        with pytest.raises(PolicyError):
            open_model(tmp_path)


@pytest.mark.parametrize("what", ARCHIVES)
def test_an_archive_by_another_name_is_not_unpacked(tmp_path: Path, what: str) -> None:
    (tmp_path / "model.safetensors").write_bytes(ARCHIVES[what])
    with pytest.raises(KaiboError) as caught:
        open_model(tmp_path)
    assert caught.value.exit in (3, 7)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "consolidated.00.pth", "last.ckpt"])
def test_a_folder_of_pickles_only_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(PLAIN["protocol 2"])
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    for opening in (open_model, open_description):
        with pytest.raises(PolicyError, match=name):
            opening(tmp_path)


def test_pickles_beside_safetensors_are_left_alone(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "m")
    (folder / "pytorch_model.bin").write_bytes(PLAIN["protocol 2"])
    (folder / "modeling_evil.py").write_text("raise SystemExit")
    opened = open_model(folder)
    assert len(opened.tensors) == 21
    assert "not used: pytorch_model.bin" in opened.notes


def test_a_pickle_inside_a_tensor_or_the_metadata_is_only_bytes(tmp_path: Path) -> None:
    data = PLAIN["protocol 4"]
    path = write_safetensors(tmp_path / "m.safetensors", {"w": ("U8", (len(data),), data)}, {"x": "c__builtin__\nexec"})
    assert open_model(path).tensors[0].size == len(data)


@pytest.mark.parametrize("length", [0x0280, 0x0480, 0x950480])
def test_a_header_length_that_looks_like_a_protocol_is_no_pickle(tmp_path: Path, length: int) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(struct.pack("<Q", length) + b'{"a":{"dtype":"F32","shape":[1],')
    with pytest.raises(KaiboError) as caught:
        open_model(path)
    assert caught.value.exit == 3
