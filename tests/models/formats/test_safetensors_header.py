"""The rules of the safetensors format, one by one, and a fuzzer over all of them."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kaibo.documents.strict_json import SPACES, Cursor
from kaibo.errors import FormatError, KaiboError
from kaibo.models.formats import read, stored
from kaibo.models.formats.safetensors import HEADER_LIMIT, Header, read_header
from kaibo.models.places.folder import LocalFile
from kaibo.testing import write_safetensors
from kaibo.vocabulary import DTYPES
from measured import linear, no_hang

F32 = '{"dtype":"F32","shape":[1],"data_offsets":[0,4]}'


def raw(header: bytes | str, data: bytes = b"", length: int | None = None) -> bytes:
    text = header.encode("utf-8") if isinstance(header, str) else header
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


def header_of(path: Path, content: bytes) -> Header:
    path.write_bytes(content)
    return read_header(LocalFile(str(path), name=path.name))


def refused(tmp_path: Path, content: bytes) -> FormatError:
    with pytest.raises(FormatError) as caught:
        header_of(tmp_path / "x.safetensors", content)
    assert caught.value.file == "x.safetensors"
    assert "\n" not in caught.value.line
    return caught.value


# S-LEN --------------------------------------------------------------------------------------------------------------

LENGTHS = [0, 1, 100, 51, 100_000_001, 1 << 32, 1 << 63, (1 << 64) - 8, (1 << 64) - 1]


@pytest.mark.parametrize("length", LENGTHS)
def test_a_header_that_promises_more_than_the_file_is_refused_unread(tmp_path: Path, length: int) -> None:
    text = '{"a":' + F32 + "}"
    with no_hang():
        refused(tmp_path, raw(text, b"\0" * 3 if length != 100 else b"", length))


@pytest.mark.parametrize("size", range(8))
def test_a_file_shorter_than_the_length_of_its_header_is_refused(tmp_path: Path, size: int) -> None:
    assert "too short" in refused(tmp_path, b"\x10\x00\x01\x00\x01\x00\x01"[:size]).message or size == 0


@pytest.mark.parametrize("prefix", [(8).to_bytes(8, "big"), (2).to_bytes(4, "little")])
def test_a_big_endian_or_32_bit_length_is_refused(tmp_path: Path, prefix: bytes) -> None:
    refused(tmp_path, prefix + b"{}      ")


def test_a_real_header_over_the_cap_is_refused_without_reading_it(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    with path.open("wb") as file:
        file.write((HEADER_LIMIT + 1).to_bytes(8, "little") + b"{")
        file.truncate(4 << 30)
    tracemalloc.start()
    with pytest.raises(FormatError, match="100000001"):
        read_header(LocalFile(str(path)))
    assert tracemalloc.get_traced_memory()[1] < 4e6
    tracemalloc.stop()


# S-JSON -------------------------------------------------------------------------------------------------------------

NOT_JSON = {
    "byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"a":1}'.encode("utf-16"),
    "UTF-16 without a mark": ('{"a":' + F32 + "}").encode("utf-16-le"),
    "UTF-32": '{"a":1}'.encode("utf-32-be"),
    "Shift_JIS": '{"__metadata__":{"名":"表"}}'.encode("shift_jis"),
    "overlong": b'{"__metadata__":{"\xc0\xaf":"a"}}',
    "surrogate bytes": b'{"__metadata__":{"\xed\xa0\x80":"a"}}',
    "lone surrogate": rb'{"__metadata__":{"\ud800":"a"}}',
    "lone low surrogate": rb'{"__metadata__":{"a":"\udc00x"}}',
    "NaN": b'{"a":NaN}',
    "Infinity": b'{"a":{"dtype":"F32","shape":[Infinity],"data_offsets":[0,4]}}',
    "5,000 digits": b'{"a":{"dtype":"F32","shape":[' + b"1" * 5000 + b'],"data_offsets":[0,4]}}',
    "60,000 deep": b'{"a":' + b"[" * 60_000 + b"]" * 60_000 + b"}",
    "60,000 objects deep": b'{"a":' * 60_000 + b"1" + b"}" * 60_000,
    "deep and open": b'{"__metadata__":' + b"[" * 60_000,
    "NUL padding": b"{}\0\0\0\0\0\0",
    "newline padding": b"{}\n",
    "tab padding": b"{}\t",
    "leading space": b" {}",
    "leading newline": b"\n{}",
    "line comment": b"{}//",
    "comment inside": b'{/**/"__metadata__":{}}',
    "trailing comma": b'{"__metadata__":{},}',
    "two objects": b"{}{}",
    "a list": b"[]",
    "single quotes": b"{'__metadata__':{}}",
    "bare key": b"{__metadata__:{}}",
    "control character": b'{"__metadata__":{"a\x01":"b"}}',
    "bad escape": rb'{"__metadata__":{"a\x41":"b"}}',
    "short escape": rb'{"__metadata__":{"a\u12":"b"}}',
    "open string": b'{"abc',
    "only a brace": b"{ ",
    "true": b"true",
}


@pytest.mark.parametrize("what", NOT_JSON)
def test_what_is_not_one_plain_json_object_is_refused(tmp_path: Path, what: str) -> None:
    error = refused(tmp_path, raw(NOT_JSON[what], b"\0" * 4))
    assert error.offset is not None or "not a safetensors" in error.message


def test_an_error_names_the_byte_where_the_json_goes_wrong(tmp_path: Path) -> None:
    text = '{"a":' + F32 + ',"b" 1}'
    assert refused(tmp_path, raw(text, b"\0" * 4)).offset == 8 + text.index("1}")
    assert refused(tmp_path, raw(b'{"__metadata__":{"a":"\xff"}}')).offset == 8 + 22


# S-DUP, S-META, S-ENT -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header",
    [
        f'{{"a":{F32},"a":{F32}}}',
        f'{{"a":{F32},"\\u0061":{F32}}}',
        f'{{"a":{F32},"a":{F32.replace("F32", "I32")}}}',
        '{"__metadata__":{},"__metadata__":{}}',
        '{"__metadata__":{},"\\u005f_metadata__":{}}',
        '{"__metadata__":{"k":"1","k":"2"}}',
        '{"__metadata__":{"k":"1","\\u006b":"1"}}',
        '{"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
        '{"a":{"dtype":"F32","shape":[1],"sh\\u0061pe":[1],"data_offsets":[0,4]}}',
    ],
)
def test_a_key_that_comes_twice_is_refused_however_it_is_spelled(tmp_path: Path, header: str) -> None:
    assert "comes twice" in refused(tmp_path, raw(header, b"\0" * 4)).message


@pytest.mark.parametrize("value", ["null", "1", '"x"', "[]", '{"a":1}', '{"a":null}', '{"a":{}}', '{"a":["b"]}', F32])
def test_metadata_that_is_not_string_to_string_is_refused(tmp_path: Path, value: str) -> None:
    refused(tmp_path, raw(f'{{"__metadata__":{value},"a":{F32}}}', b"\0" * 4))


WRONG_ENTRIES = [
    "{}",
    "null",
    "[]",
    '"F32"',
    '{"dtype":"F32","shape":[1]}',
    '{"shape":[1],"data_offsets":[0,4]}',
    '{"dtype":"F32","data_offsets":[0,4]}',
    '{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1}',
    '{"dtype":"F32","shape":[1],"data_offsets":[0,4],"":0}',
    '{"Dtype":"F32","shape":[1],"data_offsets":[0,4]}',
    '{"dtype":1,"shape":[1],"data_offsets":[0,4]}',
    '{"dtype":null,"shape":[1],"data_offsets":[0,4]}',
    '{"dtype":"f32","shape":[1],"data_offsets":[0,4]}',
    '{"dtype":"F32 ","shape":[1],"data_offsets":[0,4]}',
    '{"dtype":"F33","shape":[1],"data_offsets":[0,4]}',
    '{"dtype":"F32","shape":1,"data_offsets":[0,4]}',
    '{"dtype":"F32","shape":"[1]","data_offsets":[0,4]}',
    '{"dtype":"F32","shape":{"0":1},"data_offsets":[0,4]}',
    '{"dtype":"F32","shape":[true],"data_offsets":[0,4]}',
    '{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}',
    '{"dtype":"F32","shape":[1e0],"data_offsets":[0,4]}',
    '{"dtype":"F32","shape":["1"],"data_offsets":[0,4]}',
    '{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}',
    '{"dtype":"F32","shape":[-0],"data_offsets":[0,0]}',
    '{"dtype":"F32","shape":[01],"data_offsets":[0,4]}',
    '{"dtype":"F32","shape":[+1],"data_offsets":[0,4]}',
    '{"dtype":"F32","shape":[1,],"data_offsets":[0,4]}',
    '{"dtype":"F32","shape":[1 1],"data_offsets":[0,4]}',
    '{"dtype":"F32","shape":[null],"data_offsets":[0,4]}',
    '{"dtype":"F32","shape":[18446744073709551617],"data_offsets":[0,4]}',
    '{"dtype":"F32","shape":[1],"data_offsets":[4]}',
    '{"dtype":"F32","shape":[1],"data_offsets":[]}',
    '{"dtype":"F32","shape":[1],"data_offsets":[0,4,8]}',
    '{"dtype":"F32","shape":[1],"data_offsets":[0,4.0]}',
    '{"dtype":"F32","shape":[1],"data_offsets":[false,4]}',
    '{"dtype":"F32","shape":[1],"data_offsets":[-0,4]}',
    '{"dtype":"F32","shape":[1],"data_offsets":{"begin":0}}',
]


@pytest.mark.parametrize("entry", WRONG_ENTRIES)
def test_an_entry_with_other_fields_or_other_types_is_refused_by_name(tmp_path: Path, entry: str) -> None:
    assert refused(tmp_path, raw(f'{{"h.0.w":{entry}}}', b"\0" * 4)).tensor == "h.0.w"


# S-SIZE, S-LAY ------------------------------------------------------------------------------------------------------


def entry(dtype: str, shape: list[int], begin: int, end: int) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


SIZES = {
    "too small": (entry("F32", [2], 0, 4), 4),
    "too large": (entry("F32", [1], 0, 8), 8),
    "wraps to 0": (entry("F32", [1 << 62, 4], 0, 0), 0),
    "wraps to 4": (entry("U8", [(1 << 32) + 2, (1 << 63) + 2], 0, 4), 4),
    "wraps in bits": (entry("F32", [1 << 59], 0, 0), 0),
    "2^53 + 1": (entry("U8", [(1 << 53) + 1], 0, 1), 1),
    "offsets beyond doubles": (entry("U8", [1], 1 << 53, (1 << 53) + 1), 1),
    "half a byte": (entry("F4", [3], 0, 1), 1),
    "F4 rounded up": (entry("F4", [3], 0, 2), 2),
    "F6 off a byte": (entry("F6_E2M3", [2], 0, 2), 2),
    "BOOL as bits": (entry("BOOL", [8], 0, 1), 1),
    "backwards": (entry("F32", [1], 4, 0), 4),
    "a million dimensions": (entry("U8", [(1 << 63) - 1] * 100_000, 0, 4), 4),
}


@pytest.mark.parametrize("what", SIZES)
def test_shape_times_type_that_is_not_the_length_is_refused(tmp_path: Path, what: str) -> None:
    described, length = SIZES[what]
    with no_hang():
        assert refused(tmp_path, raw(json.dumps({"w": described}), b"\0" * length)).tensor == "w"


LAYOUTS: dict[str, tuple[dict[str, dict[str, Any]], int]] = {
    "hole at the start": ({"a": entry("U8", [4], 4, 8)}, 8),
    "hole in the middle": ({"a": entry("U8", [4], 0, 4), "b": entry("U8", [4], 8, 12)}, 12),
    "overlap": ({"a": entry("U8", [4], 0, 4), "b": entry("U8", [4], 2, 6)}, 6),
    "alias": ({"a": entry("U8", [4], 0, 4), "b": entry("U8", [4], 0, 4)}, 4),
    "bytes after the end": ({"a": entry("U8", [4], 0, 4)}, 5),
    "cut by one byte": ({"a": entry("U8", [4], 0, 4)}, 3),
    "empty inside another": ({"a": entry("U8", [4], 0, 4), "b": entry("U8", [0], 2, 2)}, 4),
    "empty beyond the end": ({"a": entry("U8", [4], 0, 4), "b": entry("U8", [0], 9, 9)}, 4),
    "data of no tensor": ({}, 1),
}


@pytest.mark.parametrize("what", LAYOUTS)
def test_tensors_that_do_not_cover_the_data_once_are_refused(tmp_path: Path, what: str) -> None:
    entries, length = LAYOUTS[what]
    assert refused(tmp_path, raw(json.dumps(entries), b"\0" * length)).offset is not None


def test_a_fault_of_layout_names_the_tensor_and_its_absolute_byte(tmp_path: Path) -> None:
    text = json.dumps({"a": entry("U8", [4], 0, 4), "h.0.w": entry("U8", [4], 8, 12)})
    error = refused(tmp_path, raw(text, b"\0" * 12))
    assert (error.tensor, error.offset, error.message) == ("h.0.w", 8 + len(text) + 8, "begins at 8, expected 4")


def test_a_zip_behind_a_valid_file_is_refused(tmp_path: Path) -> None:
    refused(tmp_path, raw(f'{{"a":{F32}}}', b"\0" * 4 + b"PK\x05\x06" + b"\0" * 18))


def test_twenty_thousand_tensors_on_the_same_bytes_are_refused_at_once(tmp_path: Path) -> None:
    def on_the_same_bytes(count: int) -> None:
        text = json.dumps({f"t{n}": entry("U8", [160_000], 0, 160_000) for n in range(count)})
        refused(tmp_path, raw(text, b"\0" * 160_000))

    assert linear(on_the_same_bytes, 2_500)


@pytest.mark.parametrize(
    "body",
    [b" " * 40_000_000, b'"a":' + b"[" * 40_000_000, b'"' + b"a" * 40_000_000, b'"' + b"\\n" * 20_000_000],
    ids=["spaces", "brackets", "open name", "escapes"],
)
def test_a_malformed_header_is_refused_in_linear_time_and_its_own_size_of_memory(tmp_path: Path, body: bytes) -> None:
    def refuse(size: int) -> None:
        path = tmp_path / "x.safetensors"
        path.write_bytes(raw(b"{" + body[:size]))
        with pytest.raises(FormatError):
            read_header(LocalFile(str(path)))

    tracemalloc.start()
    refuse(len(body))
    assert tracemalloc.get_traced_memory()[1] < 2 * len(body) + 50e6  # the bytes that the test writes are in it, too
    tracemalloc.stop()
    assert linear(refuse, len(body) // 32, by=32)


# S-FMT --------------------------------------------------------------------------------------------------------------

DISGUISED = {
    "HTML page": b"<!DOCTYPE html><html><head><title>Log in</title>",
    "git-LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n",
    "GGUF": b"GGUF\x03\0\0\0" + b"\0" * 40,
    "ZIP": b"PK\x03\x04" + b"\0" * 60,
    ".npy": b"\x93NUMPY\x01\0v\0{'descr': '<f4'}",
    "zero bytes": b"\0" * 5000,
    "PDF": b"%PDF-1.7 ..........",
    "gzip": b"\x1f\x8b\x08" + b"\0" * 20,
    "JSON": b'{"a":{"dtype":"F32"}}',
}


@pytest.mark.parametrize("kind", DISGUISED)
def test_a_file_in_disguise_is_called_what_it_is(tmp_path: Path, kind: str) -> None:
    assert kind in refused(tmp_path, DISGUISED[kind]).message


def test_a_pointer_says_how_to_get_the_file(tmp_path: Path) -> None:
    assert refused(tmp_path, DISGUISED["git-LFS pointer"]).next == 'run "git lfs pull"'


# S-ODD --------------------------------------------------------------------------------------------------------------

NAMES = [
    "",
    " ",
    "nul\0",
    "\x1b[31mred",
    "<script>",
    "=cmd|x",
    "../../etc/passwd",
    "\u202eevil",
    "é",
    "e\u0301",
    "😀",
    '"\\/',
]


def test_odd_but_legal_headers_say_exactly_what_they_say(tmp_path: Path) -> None:
    tensors = {name: ("U8", (1,), bytes([n])) for n, name in enumerate(NAMES)}
    tensors |= {
        "hundred": ("F32", (1,) * 100, b"\0" * 4),
        "scalar": ("F64", (), b"\0" * 8),
        "none": ("F32", (0, (1 << 48) - 1), b""),
        "x" * 65_536: ("I64", (1,), b"\xff" * 8),
    }
    path = write_safetensors(tmp_path / "x.safetensors", tensors, {"byteorder": "big", "": "\0"})
    header = read_header(LocalFile(str(path)))
    assert [(e.name, e.dtype.name, e.shape) for e in header.entries] == [(n, t[0], t[1]) for n, t in tensors.items()]
    assert header.metadata == {"byteorder": "big", "": "\0"}
    contents = read(LocalFile(str(path)), path.name)
    for each in contents.entries:
        tensor = stored(each, contents.digest, LocalFile(str(path)))
        found = b"".join(part.tobytes() for part in tensor.chunks(np.empty(64, np.uint8)))
        assert found == tensors[each.name][2]


@pytest.mark.parametrize("name", DTYPES)
def test_every_type_of_the_format_is_listed_and_its_bytes_come_back(tmp_path: Path, name: str) -> None:
    data = np.random.default_rng(0).integers(0, 256, DTYPES[name].bits * 3, dtype=np.uint8).tobytes()
    path = write_safetensors(tmp_path / "x.safetensors", {"a": ("U8", (1,), b"\1"), "w": (name, (4, 6), data)})
    contents = read(LocalFile(str(path)), path.name)
    tensor = stored(contents.entries[1], contents.digest, LocalFile(str(path)))
    assert tensor.size == 24  # unaligned: its bytes begin one past the header
    assert b"".join(part.tobytes() for part in tensor.chunks(np.empty(40, np.uint8))) == data


@pytest.mark.parametrize("header", ["{}", "{}      ", '{"__metadata__":{}}', '{ "__metadata__" : { } }', "{\n\t}"])
def test_a_file_without_tensors_is_legal(tmp_path: Path, header: str) -> None:
    assert header_of(tmp_path / "x.safetensors", raw(header)).entries == ()


@pytest.mark.parametrize("length", [99_991, 99_992, 99_993, 100_000, 100_001])
def test_headers_around_the_usual_prefetch_size_parse(tmp_path: Path, length: int) -> None:
    text = ('{"a":' + F32 + "}").ljust(length)
    assert len(header_of(tmp_path / "x.safetensors", raw(text, b"\0" * 4)).entries) == 1


def test_fields_in_any_order_and_spelling_are_the_same_entry(tmp_path: Path) -> None:
    usual = header_of(tmp_path / "a", raw(f'{{"a":{F32}}}', b"\0" * 4))
    other = '{ "\\u0061" : { "data_offsets":[ 0 ,\n4 ], "sh\\u0061pe" : [ 1 ] ,"dtype":"F\\u00332" } }'
    assert header_of(tmp_path / "b", raw(other, b"\0" * 4)).entries == usual.entries


def test_a_large_legal_header_is_read_in_linear_time(tmp_path: Path) -> None:
    def read(count: int) -> None:
        text = json.dumps({f"model.layers.{n}.weight": entry("U8", [1], n, n + 1) for n in range(count)})
        assert len(header_of(tmp_path / "x.safetensors", raw(text, b"\0" * count)).entries) == count

    assert linear(read, 6_250)


# Chunks -------------------------------------------------------------------------------------------------------------


@given(
    st.sampled_from(["BF16", "F32", "F64", "F8_E4M3"]),
    st.integers(1, 200),
    st.integers(0, 200),
    st.integers(0, 200),
    st.integers(8, 99),
)
@settings(max_examples=60, deadline=None)
def test_any_range_through_any_buffer_gives_the_same_patterns(
    tmp_path_factory: pytest.TempPathFactory, dtype: str, size: int, one: int, other: int, room: int
) -> None:
    begin, end = sorted((min(one, size), min(other, size)))
    patterns = np.random.default_rng(size).integers(0, 255, size * DTYPES[dtype].itemsize, dtype=np.uint8)
    path = write_safetensors(tmp_path_factory.mktemp("r") / "x.safetensors", {"w": (dtype, (size,), patterns)})
    place = LocalFile(str(path))
    contents = read(place, "x.safetensors")
    tensor = stored(contents.entries[0], contents.digest, place)
    parts = [part.copy() for part in tensor.chunks(np.empty(room, np.uint8), begin, end)]
    assert all(part.nbytes <= room and part.dtype == DTYPES[dtype].patterns for part in parts)
    joined = np.concatenate(parts) if parts else np.zeros(0, DTYPES[dtype].patterns)
    assert np.array_equal(joined, patterns.view(DTYPES[dtype].patterns)[begin:end])


def test_ranges_outside_a_tensor_are_refused(tmp_path: Path) -> None:
    place = LocalFile(str(write_safetensors(tmp_path / "x.safetensors", {"w": ("BF16", (4,), b"\0" * 8)})))
    contents = read(place, "x.safetensors")
    tensor = stored(contents.entries[0], contents.digest, place)
    for begin, end, room in [(0, 5, 8), (-1, 2, 8), (3, 2, 8), (0, 4, 1)]:
        with pytest.raises(ValueError, match="values"):
            next(tensor.chunks(np.empty(room, np.uint8), begin, end))


# Fuzz ---------------------------------------------------------------------------------------------------------------

SEED = raw(
    '{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},'
    '"b":{"dtype":"U8","shape":[0],"data_offsets":[8,8]},"c":{"dtype":"BF16","shape":[],"data_offsets":[8,10]}}',
    b"\1" * 10,
)
PIECES = [
    b'"',
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\\u0061",
    b"-0",
    b"1e3",
    b"NaN",
    b"\0",
    b"\xff",
    b" ",
    b"8",
    b'"a":',
]

change = st.tuples(
    st.integers(0, len(SEED)), st.integers(0, 6), st.sampled_from(PIECES) | st.binary(max_size=4) | st.just(b"")
)


@given(st.lists(change, min_size=1, max_size=4), st.booleans())
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_mutated_file_is_parsed_as_the_reference_does_or_refused(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, int, bytes]], mend: bool
) -> None:
    content = SEED
    for at, cut, piece in changes:
        content = content[:at] + piece + content[at + cut :]
    if mend:  # the length in front fits again, so that the mutation reaches the rules behind it
        content = max(0, len(content) - 18).to_bytes(8, "little") + content[8:]
    path = tmp_path_factory.mktemp("fuzz") / "x.safetensors"
    try:
        header = header_of(path, content)
    except KaiboError:
        return
    theirs = dict(safetensors.deserialize(content))
    assert {e.name: (e.dtype.name, list(e.shape)) for e in header.entries} == {
        name: (tensor["dtype"], tensor["shape"]) for name, tensor in theirs.items()
    }
    for each in header.entries:
        assert content[header.data + each.begin : header.data + each.end] == bytes(theirs[each.name]["data"])


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=20,
    )
)
@settings(max_examples=150, deadline=None)
def test_every_value_that_json_can_write_is_skipped_whole(value: Any) -> None:
    text = json.dumps(value, allow_nan=True, ensure_ascii=False)
    if "Infinity" in text or any("\ud800" <= character <= "\udfff" for character in text):
        return
    cursor = Cursor(text.encode("utf-8"), "x.json")
    cursor.skip()
    cursor.finish(SPACES, "value")
