"""Files and folders that are not what they should be, each with the exit code and the words that it is met with."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from kaibo.testing import tiny_model, write_safetensors


def header(folder: Path, text: bytes, data: bytes = b"") -> str:
    (folder / "x.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + data)
    return "x.safetensors"


def _entry(begin: int, end: int, shape: str = "[2]", dtype: str = "F32") -> str:
    return f'{{"dtype":"{dtype}","shape":{shape},"data_offsets":[{begin},{end}]}}'


def _hole(folder: Path) -> str:
    return header(folder, f'{{"a":{_entry(0, 8)},"b":{_entry(12, 20)}}}'.encode(), b"\0" * 20)


def _overlap(folder: Path) -> str:
    return header(folder, f'{{"a":{_entry(0, 8)},"b":{_entry(4, 12)}}}'.encode(), b"\0" * 12)


def _wraps(folder: Path) -> str:
    return header(folder, f'{{"a":{_entry(0, 8, "[4611686018427387906]")}}}'.encode(), b"\0" * 8)


def _twice(folder: Path) -> str:
    return header(folder, f'{{"a":{_entry(0, 8)},"\\u0061":{_entry(0, 8)}}}'.encode(), b"\0" * 8)


def _deep(folder: Path) -> str:
    return header(folder, b"[" * 60_000 + b"]" * 60_000)


def _digits(folder: Path) -> str:
    return header(folder, f'{{"a":{_entry(0, 8, "[" + "9" * 5000 + "]")}}}'.encode(), b"\0" * 8)


def _cut(folder: Path) -> str:
    path = write_safetensors(folder / "x.safetensors", {"w": ("F32", [4], np.ones(4, "<f4"))})
    path.write_bytes(path.read_bytes()[:-1])
    return path.name


def _bytes(content: bytes, name: str = "x.safetensors") -> Callable[[Path], str]:
    def write(folder: Path) -> str:
        (folder / name).write_bytes(content)
        return name

    return write


def _fifo(folder: Path) -> str:
    os.mkfifo(folder / "x.safetensors")
    return "x.safetensors"


def _long(length: int) -> Callable[[Path], str]:
    return _bytes(struct.pack("<Q", length) + b"{}" * 50)


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12345\n"
FAULTS: dict[str, tuple[Callable[[Path], str], int, str]] = {
    "empty file": (_bytes(b""), 3, "x.safetensors"),
    "seven bytes": (_bytes(b"\0" * 7), 3, "x.safetensors"),
    "length 2^63": (_long(1 << 63), 3, ""),
    "length wraps": (_long((1 << 64) - 8), 3, ""),
    "length over the cap": (_long(100_000_001), 3, ""),
    "deep nesting": (_deep, 3, ""),
    "5,000 digits": (_digits, 3, '"a"'),
    "UTF-16": (lambda folder: header(folder, "{}".encode("utf-16")), 3, ""),
    "duplicate key": (_twice, 3, '"a"'),
    "hole": (_hole, 3, 'tensor "b" at byte'),
    "overlap": (_overlap, 3, 'tensor "b" at byte'),
    "product wraps": (_wraps, 3, 'tensor "a"'),
    "cut by a byte": (_cut, 3, 'tensor "w"'),
    "LFS pointer": (_bytes(POINTER), 3, "git lfs pull"),
    "HTML page": (_bytes(b"<!DOCTYPE html><html><body>login</body></html>"), 3, "HTML"),
    "pickle inside": (_bytes(pickle.dumps({"a": 1}, 2) + b"\0" * 64), 7, "pickle"),
    "pickle by name": (_bytes(b"\x80\x02}q\0.", "pytorch_model.bin"), 7, "pickle"),
    "GGUF": (_bytes(b"GGUF" + b"\3" + b"\0" * 60), 3, "GGUF"),
    "ZIP": (_bytes(b"PK\3\4" + b"\0" * 60), 3, ""),
    "named pipe": (_fifo, 3, "named pipe"),
}


def _sharded(folder: Path) -> list[Path]:
    return sorted(tiny_model(folder / "m", shards=3).glob("model-0*.safetensors"))


def without(folder: Path) -> None:
    _sharded(folder)[1].unlink()


def _short(folder: Path) -> None:
    shard = _sharded(folder)[1]
    shard.write_bytes(shard.read_bytes()[:-10])


def _hollow(folder: Path) -> None:
    _sharded(folder)[1].write_bytes(b"")


def _dangling(folder: Path) -> None:
    shard = _sharded(folder)[1]
    shard.unlink()
    shard.symlink_to("nothing")


def _incomplete(folder: Path) -> None:
    _sharded(folder)[1].unlink()
    (folder / "m" / "model.safetensors.index.json").unlink()


def _linked_out(folder: Path) -> None:
    shard = _sharded(folder)[1]
    shutil.move(shard, folder / "outside.safetensors")
    shard.symlink_to("../outside.safetensors")


def _loop(folder: Path) -> None:
    shard = _sharded(folder)[1]
    shard.unlink()
    shard.symlink_to(shard.name)


def _index(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        _sharded(folder)
        path = folder / "m" / "model.safetensors.index.json"
        index = json.loads(path.read_text())
        index = change(index) or index
        path.write_text(json.dumps(index))

    return write


def _all_to(target: object) -> Callable[[Path], None]:
    return _index(lambda index: index["weight_map"].update(dict.fromkeys(index["weight_map"], target)))


FOLDERS: dict[str, tuple[Callable[[Path], None], int, str]] = {
    "missing shard": (without, 4, "model-00002-of-00003.safetensors"),
    "truncated shard": (_short, 3, "model-00002-of-00003.safetensors"),
    "empty shard": (_hollow, 3, "model-00002-of-00003.safetensors"),
    "dangling link": (_dangling, 4, "model-00002-of-00003.safetensors"),
    "incomplete series": (_incomplete, 4, "model-00002-of-00003.safetensors"),
    "link out": (_linked_out, 7, "model-00002-of-00003.safetensors"),
    "link loop": (_loop, 7, "model-00002-of-00003.safetensors"),
    "escape up": (_all_to("../x.safetensors"), 7, "x.safetensors"),
    "escape absolute": (_all_to("/proc/self/environ"), 7, "/proc/self/environ"),
    "escape by URL": (_all_to("http://169.254.169.254/x.safetensors"), 7, "169.254"),
    "escape encoded": (_all_to("%2e%2e/x.safetensors"), 7, ""),
    "a pickle in the index": (_all_to("pytorch_model.bin"), 7, ""),
    "null in the index": (_all_to(None), 3, ""),
    "NUL in the index": (_all_to("a\0.safetensors"), 3, ""),
    "no weight_map": (_index(lambda index: {"metadata": {}}), 3, "weight_map"),
    "ghost tensor": (
        _index(lambda index: index["weight_map"].update(ghost="model-00001-of-00003.safetensors")),
        3,
        "ghost",
    ),
    "nothing at all": (lambda folder: (folder / "m").mkdir(), 4, "no weights found"),
}
