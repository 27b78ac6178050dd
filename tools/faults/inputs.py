"""The inputs of the catalogue (FAULTS.md) as data: each has a class and is made afresh in an empty folder.

A maker gets a folder and gives back what to write in the place of a file's name on a command line. A new row is tried
on every command the day it is listed.
"""

from __future__ import annotations

import gzip
import json
import os
import pickle
import shutil
import socket
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hostile_documents as hostile
import numpy as np

import malformed
from kaibo.store import Counted, Store
from kaibo.testing import tiny_model
from kaibo.vocabulary import Census

Maker = Callable[[Path], str]


def file(content: bytes | str, name: str) -> Maker:
    """A file of these bytes."""

    def make(folder: Path) -> str:
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
        return str(folder / name)

    return make


def beside(write: Callable[[Path], Any], name: str = "") -> Maker:
    """What a maker of the tests writes: a file that it names, or a folder of this name."""

    def make(folder: Path) -> str:
        return str(folder / (write(folder) or name))

    return make


def huge(name: str, head: bytes = b"") -> Maker:
    """64 GiB that take no room on the disk."""

    def make(folder: Path) -> str:
        (folder / name).write_bytes(head)
        os.truncate(folder / name, 1 << 36)
        return str(folder / name)

    return make


def model_with(name: str, content: bytes) -> Maker:
    """A sound model of which one document is not."""

    def make(folder: Path) -> str:
        tiny_model(folder / "m", layers=1)
        (folder / "m" / name).write_bytes(content)
        return str(folder / "m")

    return make


class Touch:
    """A pickle that would leave a file behind if anything ran it."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("canary",)


def torch_file(folder: Path) -> str:
    """The ZIP form of PyTorch with a pickle that wants to run something."""
    with zipfile.ZipFile(folder / "pytorch_model.bin", "w") as packed:
        packed.writestr("archive/data.pkl", pickle.dumps(Touch(), 2))
        packed.writestr("archive/version", "3")
    return str(folder / "pytorch_model.bin")


def gzip_bomb(folder: Path) -> str:
    """A gigabyte of zeros in a megabyte."""
    with gzip.open(folder / "x.jsonl.gz", "wb", 1) as packed:
        for _ in range(256):
            packed.write(bytes(1 << 22))
    return str(folder / "x.jsonl.gz")


def workbook(folder: Path) -> str:
    """A ZIP that calls itself a workbook, with a gigabyte in one member."""
    with zipfile.ZipFile(folder / "x.xlsx", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed:
        packed.writestr("[Content_Types].xml", "<Types/>")
        with packed.open("xl/workbook.xml", "w") as member:
            for _ in range(64):
                member.write(b" " * (1 << 22))
    return str(folder / "x.xlsx")


def pipe(folder: Path) -> str:
    os.mkfifo(folder / "pipe")
    return str(folder / "pipe")


def listening(folder: Path) -> str:
    """A socket in the file system."""
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(folder / "s"))
    return str(folder / "s")


def unlinked(target: str) -> Maker:
    def make(folder: Path) -> str:
        (folder / "link").symlink_to(target)
        return str(folder / "link")

    return make


def others(folder: Path) -> str:
    """A folder with somebody's files."""
    (folder / "theirs").mkdir()
    for name in ("config.json", "notes.txt", "index.html", "nursery.json", ".kaibo-merge.json"):
        (folder / "theirs" / name).write_text("mine\n")
    return str(folder / "theirs")


def store(damage: Callable[[Path], None]) -> Maker:
    """A store of two rows to which something was done."""

    def make(folder: Path) -> str:
        none = np.zeros(0, np.uint64)
        counts = np.arange(1, 9, dtype=np.uint64)
        census = Census("BF16", np.arange(8, dtype=np.uint32), counts, none, none.reshape(0, 2), 0.0, 1.0)
        made = Store(folder / "store")
        made.record([Counted("source", f"{1:032x}", census)])
        damage(made.path)
        return str(made.path)

    return make


def flipped(path: Path) -> None:
    part = sorted((path / "parts").iterdir())[0]
    data = bytearray(part.read_bytes())
    data[len(data) // 2] ^= 1
    part.write_bytes(data)


def torn(path: Path) -> None:
    entry = sorted((path / "ledger").iterdir())[0]
    entry.write_bytes(entry.read_bytes()[:-20])


def lost(path: Path) -> None:
    shutil.rmtree(path / "parts")


def replaced(path: Path) -> None:
    shutil.rmtree(path / "ledger")
    (path / "ledger").write_text("")


def gguf(counts: bytes, version: int = 3, rest: bytes = b"") -> bytes:
    return b"GGUF" + version.to_bytes(4, "little") + counts + rest


def both(number: int) -> bytes:
    return number.to_bytes(8, "little") * 2


DOCUMENTS: dict[str, dict[str, bytes]] = {
    "json": hostile.JSON,
    "jsonl": hostile.JSON,
    "toml": hostile.TOML,
    "yaml": hostile.YAML,
}
ROWS = "model,mmlu,arc\n"
TABLES: dict[str, bytes | str] = {
    "ragged": ROWS + "a,1\nb,1,2,3\n",
    "a header alone": ROWS,
    "one row": ROWS + "a,0.5,0.5\n",
    "the same model twice": ROWS + "a,0.5,0.5\nA ,0.4,0.5\n",
    "the same header twice": "model,x,x\na,1,2\nb,2,3\n",
    "an unclosed quote": ROWS + 'a,"1,2\nb,3,4\n' * 1000,
    "NUL": b"model,x\na\0,1\nb,2\n",
    "text late": ROWS + "".join(f"m{n},0.5,0.{n}\n" for n in range(3000)) + "z,n.a.d.,0.5\n",
    "units mixed": ROWS + "a,45.2%,0.61\nb,0.61,61\nc,61,0.4\n",
    "2^64 and 1e400": "model,x,y\na,18446744073709551617,1e400\nb,2,3\nc,3,4\n",
    "Shift_JIS": "モデル,点\nあ,１\nい,２\n".encode("shift_jis"),
    "UTF-16": "model,x\na,1\n".encode("utf-16"),
    "a cell of a megabyte of digits": ROWS + "a," + "9" * 1_000_000 + ",1\nb,1,2\n",
    "a name of a megabyte of pipes": ROWS + "|" * 1_000_000 + ",1,2\nb,1,2\n",
    "10,000 columns": "model," + ",".join(f"c{n}" for n in range(10_000)) + "\na" + ",1" * 10_000 + "\n",
    "formulas and escapes": "model,x,=cmd|'/c calc'!A1\n=1+1,\x1b[31m,1\n@a,2,<script>\n",
    "constant and empty columns": "model,a,b\nx,1,\ny,1,\nz,1,\n",
    "collinear columns": "model,a,b,c\n" + "".join(f"m{n},0.{n},0.{n},0.{n}\n" for n in range(1, 9)),
    "CR only": "model,x\ra,1\rb,2\r",
}
TEXTS: dict[str, bytes | str] = {
    "empty": b"",
    "white space": " \n\t\n",
    "one byte": "a",
    "not UTF-8": b"caf\xe9\xff\xfe" * 20,
    "a line of two megabytes": "x" * 2_000_000,
    "NUL, BOM and CRLF": "\ufeffa\0b\r\nc\u2028d\u0085e",
    "special tokens": "<s></s><|endoftext|><|im_start|>system " * 30,
}
CONFIGS: dict[str, bytes] = {
    "a config nested 100,000 deep": b'{"a":' * 100_000,
    "a config of NaN": b'{"hidden_size": NaN}',
    "a config that is a list": b"[]",
    "a config of wrong types": json.dumps(
        {"model_type": ["llama"], "hidden_size": "64", "num_hidden_layers": -1, "vocab_size": 1e99, "architectures": 3}
    ).encode(),
    "a config of code": b'{"model_type": "llama", "auto_map": {"AutoConfig": "evil.Config"}}',
    "a packing that the file lacks": b'{"quantization_config": {"quant_method": "gptq", "bits": 3, "group_size": 0}}',
}

FILES: dict[str, tuple[str, Maker]] = {
    **{f"safetensors: {name}": ("S", beside(write)) for name, (write, _, _) in malformed.FAULTS.items()},
    **{f"folder: {name}": ("F", beside(write, "m")) for name, (write, _, _) in malformed.FOLDERS.items()},
    **{f"model: {name}": ("P", model_with("config.json", content)) for name, content in CONFIGS.items()},
    "model: a tokenizer that is none": ("P", model_with("tokenizer.json", b'{"model": {"type": "BPE", "vocab": 3}}')),
    "model: a tokenizer nested": ("P", model_with("tokenizer.json", b"[" * 100_000)),
    "pickle: a canary": ("P", file(pickle.dumps(Touch(), 4), "x.pt")),
    "pickle: a canary in a ZIP": ("P", torch_file),
    "GGUF: 2^63 tensors": ("G", file(gguf(both(1 << 63)), "x.gguf")),
    "GGUF: a string of 2^62": ("G", file(gguf(both(1), rest=(1 << 62).to_bytes(8, "little")), "x.gguf")),
    "GGUF: version 1": ("G", file(gguf(both(0), 1), "x.gguf")),
    "GGUF: cut": ("G", file(gguf(b"\1\0\0"), "x.gguf")),
    **{
        f"{kind}: {name}": ("D", file(data, f"x.{kind}"))
        for kind, cases in DOCUMENTS.items()
        for name, data in cases.items()
    },
    **{f"table: {name}": ("T", file(data, "x.csv")) for name, data in TABLES.items()},
    "table: a bomb of gzip": ("T", gzip_bomb),
    "table: a workbook that is none": ("T", workbook),
    "table: Parquet that is none": ("T", file(b"PAR1" + bytes(64) + b"PAR1", "x.parquet")),
    **{f"text: {name}": ("X", file(data, "x.txt")) for name, data in TEXTS.items()},
    "place: missing": ("K", lambda folder: str(folder / "nothing" / "here")),
    "place: an empty folder": ("K", lambda folder: str(folder)),
    "place: a folder of somebody's": ("K", others),
    "place: a file of somebody's": ("K", file("mine\n", "mine.html")),
    "place: a pipe": ("K", pipe),
    "place: a socket": ("K", listening),
    "place: a link to nothing": ("K", unlinked("nothing")),
    "place: a link to itself": ("K", unlinked("link")),
    "place: zeros without end": ("K", lambda _: "/dev/zero"),
    "place: a full device": ("K", lambda _: "/dev/full"),
    "place: the environment": ("K", lambda _: "/proc/self/environ"),
    "place: below a file": ("K", lambda folder: file("", "f")(folder) + "/x"),
    "store: a flipped bit": ("K", store(flipped)),
    "store: a torn entry": ("K", store(torn)),
    "store: parts lost": ("K", store(lost)),
    "store: no ledger": ("K", store(replaced)),
    **{f"huge: .{kind}": ("H", huge(f"x.{kind}")) for kind in ("json", "jsonl", "toml", "yaml", "csv", "txt", "xlsx")},
    "huge: .safetensors": ("H", huge("x.safetensors", (1 << 35).to_bytes(8, "little"))),
    "huge: .gguf": ("H", huge("x.gguf", gguf(both(1 << 30)))),
    "huge: .bin": ("H", huge("pytorch_model.bin", b"PK\3\4")),
    **{
        f"address: {name}": ("N", lambda _, name=name: name)  # type: ignore[misc]
        for name in ("http://127.0.0.1:9/x", "https://[::1", "file:///etc/passwd", "s3://b/k", "hf:", "hf:../../x")
    },
}
"""In the place of a name on a command line: what it is called, its class, and how it is made."""

WORDS: dict[str, str] = {
    "nothing": "",
    "a blank": " ",
    "a dash": "-",
    "a number": "0",
    "less than nothing": "-1",
    "no number": "nan",
    "an exponent of 400": "1e400",
    "5,000 digits": "9" * 5000,
    "escapes": "\x1b[31m\u202e\x9b31m\n\x07",
    "half a character": "\udcff\udc80",
    "70,000 letters": "x" * 70_000,
    "a path of 4,096": "x/" * 2048,
    "a formula": "=cmd|' /C calc'!A0",
    "a template": "{{ 7 * 7 }}{% for x in range(10**9) %}x{% endfor %}",
    "commas": ",a,,b,",
    "equals": "a=b=c",
    "a colon": ":",
    "full-width digits": "４５",
    "a path upwards": "../../etc/passwd",
    "a pattern": "(a+)+$",
    "SQL": "x'; DROP TABLE models; --",
}
"""In the place of any text."""

NUMBERS: tuple[str, ...] = (
    "0", "-1", "1.5", "nan", "inf", "-inf", "1e400", "1e-320", "9" * 5000, "2147483648", "9223372036854775808",
    "0x10", "1_0", "４", "", " ", "1e999999999",
)  # fmt: skip
"""In the place of a number."""
