"""Pickles that want more than tensors, or more than there is: refused in one line, in bounded time, nothing run."""

from __future__ import annotations

import io
import os
import pickle
import struct
import time
import tracemalloc
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from kaibo.errors import FormatError, KaiboError, PolicyError
from kaibo.models.formats import opcodes, pickles, read
from kaibo.models.formats.torch_zip import PICKLE_LIMIT
from kaibo.models.places.folder import LocalFile

CANARY = "KAIBO_HOSTILE"
SONG = f"import os; os.environ[{CANARY!r}] = 'sings'"


def archive(path: Path, data: bytes, storages: Mapping[str, bytes] | None = None, **how: Any) -> Path:
    with zipfile.ZipFile(path, "w", **how) as out:
        out.writestr("archive/data.pkl", data)
        for key, content in (storages or {"0": bytes(24)}).items():
            out.writestr(f"archive/data/{key}", content)
    return path


def word(text: str) -> bytes:
    return b"\x8c" + bytes([len(text)]) + text.encode()


def name(module: str, attribute: str) -> bytes:
    return word(module) + word(attribute) + b"\x93"


def whole(number: int) -> bytes:
    data = number.to_bytes(9, "little", signed=True)
    return b"\x8a\x09" + data


def storage(key: str = "0", size: int = 6, kind: str = "FloatStorage") -> bytes:
    return b"(" + word("storage") + name("torch", kind) + word(key) + word("cpu") + whole(size) + b"tQ"


def numbers(*values: int) -> bytes:
    return b"(" + b"".join(map(whole, values)) + b"t"


def tensor(shape: Any = (2, 3), strides: Any = (3, 1), offset: Any = 0, held: bytes = b"") -> bytes:
    """A call of _rebuild_tensor_v2 over a storage of six floats."""
    where = offset if isinstance(offset, bytes) else whole(offset)
    axes = (one if isinstance(one, bytes) else numbers(*one) for one in (shape, strides))
    rest = b"\x89" + name("collections", "OrderedDict") + b")R"
    return (
        name("torch._utils", "_rebuild_tensor_v2") + b"(" + (held or storage()) + where + b"".join(axes) + rest + b"tR"
    )


def state(value: bytes, key: bytes = b"") -> bytes:
    return b"\x80\x04}" + (key or word("w")) + value + b"s."


class Calls:
    def __init__(self, callee: Any, *args: Any) -> None:
        self.made = (callee, args)

    def __reduce__(self) -> Any:
        return self.made


def calling(protocol: int, callee: Any = exec, *args: Any) -> bytes:
    return pickle.dumps({"w": Calls(callee, *(args or (SONG,)))}, protocol)


WANTS: dict[str, tuple[bytes, str]] = {
    **{f"exec by protocol {one}": (calling(one), ".exec") for one in range(6)},
    "os.system": (calling(4, os.system, "true"), ".system"),
    "eval by GLOBAL": (b"c__builtin__\neval\n(S'1'\ntR.", "__builtin__.eval"),
    "a name with dots": (state(name("torch", "os.system") + word("true") + b"\x85R"), "torch.os.system"),
    "a module inside an allowed one": (
        state(name("torch.serialization", "load") + word("x") + b"\x85R"),
        "torch.serialization.load",
    ),
    "resolve_name": (state(name("pkgutil", "resolve_name") + word("builtins:exec") + b"\x85R"), "pkgutil.resolve_name"),
    "getattr": (state(name("builtins", "getattr") + b")R"), "builtins.getattr"),
    "operator.attrgetter": (state(name("operator", "attrgetter") + b")R"), "operator.attrgetter"),
    "nested pickles": (
        state(name("torch.storage", "_load_from_bytes") + b"C\x01x\x85R"),
        "torch.storage._load_from_bytes",
    ),
    "runpy": (state(name("runpy", "_run_code") + b")R"), "runpy._run_code"),
    "a name from the memo": (
        b"\x80\x04" + word("builtins") + b"\x94" + word("exec") + b"\x94h\x00h\x01\x93" + word(SONG) + b"\x85R.",
        "builtins.exec",
    ),
    "a name kept and called later": (b"\x80\x04cbuiltins\nexec\nq\x00h\x00(" + word(SONG) + b"tR.", "builtins.exec"),
    "INST": (b"(S'true'\nios\nsystem\n.", "os.system"),
    "OBJ": (b"\x80\x02(" + name("collections", "OrderedDict") + b"o.", "collections.OrderedDict"),
    "EXT1": (b"\x80\x02\x82\x07)R.", "extension 7"),
    "EXT2": (b"\x80\x02\x83\x07\x01)R.", "extension 263"),
    "EXT4": (b"\x80\x02\x84\x07\x00\x00\x00)R.", "extension 7"),
    "NEWOBJ of a type": (state(name("builtins", "int") + b")\x81"), "builtins.int"),
    "NEWOBJ_EX with words": (
        state(name("collections", "OrderedDict") + b")}" + word("a") + b"Ns\x92"),
        "collections.OrderedDict",
    ),
    "BUILD on a dict": (b"\x80\x02}}b.", "sets the state of a value of type dict"),
    "BUILD on a tensor": (state(tensor() + b"}b"), "sets the state of a value of type Ref"),
    "BUILD on a name": (state(name("torch", "Tensor") + b"}b"), "torch.Tensor"),
    "a call of a text": (state(word("os.system") + word("true") + b"\x85R"), "calls a value of type str"),
    "a call of a type": (state(name("torch", "FloatStorage") + b")R"), "torch.FloatStorage"),
    "a call of a tensor": (state(tensor() + b")R"), "calls a value of type Ref"),
    "a name that is a list": (b"\x80\x04]" + word("exec") + b"\x93.", "a name that is not a text"),
    "a dict as a key": (state(tensor(), b"}"), "type dict as a key"),
    "a list as a key": (state(tensor(), b"]"), "type list as a key"),
    "a buffer from outside": (b"\x80\x05\x97.", "a buffer"),
    "a subclass's own function": (
        state(
            name("torch._tensor", "_rebuild_from_type_v2")
            + b"("
            + name("torch", "compile")
            + name("torch", "Tensor")
            + b")}tR"
        ),
        "torch.compile",
    ),
    "sparse": (state(name("torch._utils", "_rebuild_sparse_tensor") + b")R"), "_rebuild_sparse_tensor"),
    "items of a text": (b"\x80\x02X\x01\x00\x00\x00aNNs.", "sets items of a value of type str"),
    "appending to a tuple": (b"\x80\x02)Na.", "appends to a value of type tuple"),
}
"""Pickles that want something, and what the refusal says that they want."""

DOUBLED = (
    b"\x80\x02]q\x00"
    + b"".join(b"](h" + bytes([n]) + b"h" + bytes([n]) + b"eq" + bytes([n + 1]) for n in range(60))
    + b"."
)
TUPLES = b"\x80\x02)q\x00" + b"".join(b"h\x00h\x00\x86q\x00" for _ in range(200)) + b"."

BROKEN: dict[str, bytes] = {
    "nothing": b"",
    "no end": b"\x80\x02}",
    "an empty stack": b"\x80\x02.",
    "no mark": b"\x80\x02t.",
    "a mark that was used up": b"\x80\x02(tt.",
    "taking below a mark": b"\x80\x02N(a.",
    "not an opcode": b"\x80\x02\xff.",
    "protocol 9": b"\x80\x09}.",
    "a value that was not kept": b"\x80\x02h\x05.",
    "a text of 4 GB": b"\x80\x02X\xff\xff\xff\xffab.",
    "a text of 2^63 bytes": b"\x80\x04\x8d" + struct.pack("<Q", 1 << 63) + b"ab.",
    "a frame of 2^63 bytes": b"\x80\x04\x95" + struct.pack("<Q", 1 << 63) + b"}.",
    "a negative length": b"\x80\x02T" + struct.pack("<i", -5) + b"abc.",
    "a number of 2 GB": b"\x80\x02\x8b" + struct.pack("<i", 1 << 30) + b"abc.",
    "a decimal of a million digits": b"I" + b"9" * 1_000_000 + b"\n.",
    "a broken escape": b"S'\\xZZ'\n.",
    "not UTF-8": b"\x80\x02X\x02\x00\x00\x00\xff\xfe.",
    "an odd number of items": b"\x80\x02}(NNNu.",
    "a key twice": b"\x80\x02}(" + word("a") + b"N" + word("a") + b"Nu.",
    "too many opcodes": b"\x80\x02" + b"N0" * 100_000 + b"N.",
    "too many lists": b"\x80\x02" + b"]" * 100_000 + b".",
    "lists of lists, doubled sixty times": DOUBLED,
    "a list in itself": state(b"]q\x01h\x01a"),
    "a dict in itself": b"\x80\x02}q\x00" + word("a") + b"h\x00s.",
    "lists 20,000 deep": b"\x80\x02" + b"]" * 20_000 + b"a" * 19_999 + b".",
    "tuples that double": TUPLES,
    "a persistent id that is a text": state(b"P0\n"),
    "a persistent id of another kind": state(b"(" + word("module") + b"NNNNtQ"),
    "a storage that is not there": state(tensor(held=storage("7"))),
    "a storage outside": state(tensor(held=storage("../../0"))),
    "a storage that is shorter": state(tensor(held=storage(size=7))),
    "a storage of 2^62 values": state(tensor(held=storage(size=1 << 62))),
    "a storage without a type": state(tensor(held=storage(size=24, kind="UntypedStorage"))),
    "a negative stride": state(tensor(strides=(-3, 1), offset=3)),
    "a negative offset": state(tensor(offset=-1)),
    "a negative axis": state(tensor(shape=(-2, 3))),
    "past the end": state(tensor(offset=1)),
    "far past the end by its strides": state(tensor(strides=(1 << 61, 1))),
    "an offset of 2^64": state(tensor(offset=1 << 64)),
    "a shape that wraps": state(tensor(shape=(1 << 32, 1 << 32), strides=(0, 0))),
    "a value repeated 2^40 times": state(tensor(shape=(1 << 40,), strides=(0,))),
    "two axes and one stride": state(tensor(strides=(1,))),
    "a shape of texts": state(tensor(shape=b"(" + word("a") + b"t")),
    "a truth value as an offset": state(tensor(offset=b"\x88")),
    "too few arguments": state(name("torch._utils", "_rebuild_tensor_v2") + b")R"),
    "arguments that are a list": state(name("torch._utils", "_rebuild_tensor_v2") + b"]R"),
    "the type of a text": state(
        name("torch._utils", "_rebuild_tensor_v3")
        + b"("
        + storage()
        + whole(0)
        + numbers(6)
        + numbers(1)
        + b"\x89N"
        + word("float32")
        + b"tR"
    ),
    "a name of 100,000 letters": state(tensor(), b"X" + struct.pack("<I", 100_000) + b"a" * 100_000),
    "a name with half a character": state(tensor(), b"X\x03\x00\x00\x00\xed\xa0\x80"),
    "a thousand axes": state(tensor(shape=(1,) * 1000, strides=(1,) * 1000)),
}


@pytest.fixture(autouse=True)
def no_song() -> Any:
    yield
    assert CANARY not in os.environ


def test_the_canary_would_sing() -> None:
    pickle.loads(calling(4))
    assert os.environ.pop(CANARY) == "sings"


def test_the_plain_one_is_read(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.bin", state(tensor()))
    (entry,) = read(LocalFile(str(path)), path.name).entries
    assert (entry.name, entry.dtype.name, entry.shape, entry.end - entry.begin) == ("w", "F32", (2, 3), 24)


@pytest.mark.parametrize("what", WANTS)
def test_what_a_pickle_wants_beyond_tensors_is_refused_by_name(tmp_path: Path, what: str) -> None:
    data, wanted = WANTS[what]
    path = archive(tmp_path / "a.bin", data)
    with pytest.raises(PolicyError) as caught:
        read(LocalFile(str(path)), path.name)
    assert wanted in caught.value.line
    assert "\n" not in caught.value.line


@pytest.mark.parametrize("what", BROKEN)
def test_a_malformed_or_boundless_pickle_is_refused_with_little_memory(
    tmp_path: Path, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opcodes, "STEPS", 150_000)
    monkeypatch.setattr(pickles, "OBJECTS", 80_000)
    path = archive(tmp_path / "a.bin", BROKEN[what])
    tracemalloc.start()
    try:
        with pytest.raises(FormatError):
            read(LocalFile(str(path)), path.name)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 10 * len(BROKEN[what]) + (8 << 20)


@pytest.mark.slow
@pytest.mark.parametrize("opcode", [b"N0", b"]", b"U\x02ab"])
def test_millions_of_opcodes_end_at_the_limit(tmp_path: Path, opcode: bytes) -> None:
    path = archive(tmp_path / "a.bin", b"\x80\x02" + opcode * 3_000_000 + b".")
    with pytest.raises(FormatError, match="more than"):
        read(LocalFile(str(path)), path.name)


def test_a_name_is_escaped_where_it_is_told(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.bin", b"\x80\x02cos\x1b[31m\nsystem\n.")
    with pytest.raises(PolicyError, match=r"os\\x1b\[31m\.system"):
        read(LocalFile(str(path)), path.name)


# The archive around it ------------------------------------------------------------------------------------------------


def damaged(what: str, data: bytearray) -> bytes:
    """An archive with one of its own numbers changed."""
    listed = data.index(b"PK\x01\x02")
    second = data.index(b"PK\x01\x02", listed + 1)
    end = data.index(b"PK\x05\x06")
    if what == "a comment that is cut":
        return bytes(data[:-2]) + b"\x05\x00"
    if what == "another number of members":
        data[end + 10] = 9
    elif what == "several disks":
        data[end + 4] = 1
    elif what == "a member past the list":
        data[listed + 42 : listed + 46] = struct.pack("<I", end)
    elif what == "members that overlap":
        data[second + 42 : second + 46] = data[listed + 42 : listed + 46]
    elif what == "a size of 4 GB":
        data[second + 20 : second + 28] = struct.pack("<II", 0xFFFFFFF0, 0xFFFFFFF0)
    elif what == "a size in 64 bits that is missing":
        data[second + 20 : second + 28] = b"\xff" * 8
    elif what == "encrypted":
        data[second + 8] |= 1
    elif what == "another name in front":
        data[30] ^= 1
    elif what == "bytes before the list's end":
        return bytes(data[:end]) + b"junk" + bytes(data[end:])
    elif what == "bytes in front":
        return b"junk" + bytes(data)
    return bytes(data)


@pytest.mark.parametrize(
    "what",
    [
        "a comment that is cut", "another number of members", "several disks", "a member past the list",
        "members that overlap", "a size of 4 GB", "a size in 64 bits that is missing", "encrypted",
        "another name in front", "bytes before the list's end", "bytes in front",
    ],
)  # fmt: skip
def test_a_malformed_archive_is_refused(tmp_path: Path, what: str) -> None:
    path = archive(tmp_path / "a.bin", state(tensor()))
    path.write_bytes(damaged(what, bytearray(path.read_bytes())))
    with pytest.raises(KaiboError):
        read(LocalFile(str(path)), path.name)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_that_stands_twice_is_named(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.bin", state(tensor()))
    with zipfile.ZipFile(path, "a") as out:
        out.writestr("archive/data/0", bytes(24))
    with pytest.raises(FormatError, match=r'"archive/data/0" stands twice'):
        read(LocalFile(str(path)), path.name)


def test_compressed_members_are_refused_unread(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.bin", state(tensor()), {"0": bytes(1 << 24)}, compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(FormatError, match="is compressed"):
        read(LocalFile(str(path)), path.name)


def test_a_pickle_beyond_the_limit_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    with zipfile.ZipFile(path, "w") as out, out.open("archive/data.pkl", "w") as member:
        for _ in range(PICKLE_LIMIT // (1 << 22) + 1):
            member.write(bytes(1 << 22))
    with pytest.raises(FormatError, match="the limit is"):
        read(LocalFile(str(path)), path.name)


def test_sizes_in_64_bits_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    with zipfile.ZipFile(path, "w") as out:
        with out.open("archive/data.pkl", "w", force_zip64=True) as member:
            member.write(state(tensor()))
        with out.open("archive/data/0", "w", force_zip64=True) as member:
            member.write(bytes(range(24)))
    (entry,) = read(LocalFile(str(path)), path.name).entries
    assert path.read_bytes()[entry.begin : entry.end] == bytes(range(24))


def test_a_hundred_thousand_views_of_one_storage_are_no_bomb(tmp_path: Path) -> None:
    held = torch.zeros(1 << 20)
    out = io.BytesIO()
    torch.save({f"{n}": held[n:] for n in range(2000)}, out)
    (tmp_path / "a.bin").write_bytes(out.getvalue())
    begun = time.process_time()
    with pytest.raises(FormatError, match="repeat each other"):
        read(LocalFile(str(tmp_path / "a.bin")), "a.bin")
    assert time.process_time() - begun < 60
