"""No document may end in another library's exception: a value, or one of kaibo's errors with its place."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hostile_documents as hostile
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kaibo.documents.json_text import DEPTH, json_line, json_line_of, json_lines, json_value
from kaibo.documents.reading import opened, read_bytes, read_text, text_of
from kaibo.documents.strict_json import WHITE, Cursor
from kaibo.documents.toml_text import toml_lines, toml_value
from kaibo.documents.yaml_text import yaml_value
from kaibo.errors import FormatError, MissingError, UsageError

READERS: dict[str, Callable[[bytes], Any]] = {
    "json": lambda data: json_value(data, "x"),
    "jsonl": lambda data: list(json_lines(data.split(b"\n"), "x")),
    "toml": lambda data: toml_value(text_of(data, "x"), "x"),
    "yaml": lambda data: yaml_value(text_of(data, "x"), "x").value,
}
HARMLESS = {
    ("toml", "nothing"),
    ("toml", "white space"),
    ("jsonl", "nothing"),
    ("jsonl", "white space"),
    ("jsonl", "NaN"),
    ("jsonl", "infinity"),
    ("jsonl", "an exponent of 400"),
}
CASES = [
    (kind, name, data)
    for kind, cases in (
        ("json", hostile.JSON),
        ("jsonl", hostile.JSON),
        ("toml", hostile.TOML),
        ("yaml", hostile.YAML),
    )
    for name, data in cases.items()
    if (kind, name) not in HARMLESS
]


@pytest.mark.parametrize(("kind", "name", "data"), CASES, ids=[f"{kind}: {name}" for kind, name, _ in CASES])
def test_a_hostile_document_is_refused_with_its_place(kind: str, name: str, data: bytes) -> None:
    with pytest.raises(FormatError) as refused:
        READERS[kind](data)
    line = refused.value.line
    assert len(line) < 400
    assert line.isprintable()
    assert refused.value.offset is not None or re.search(r"line \d+", line), line


@pytest.mark.parametrize("kind", READERS)
@given(data=st.binary(max_size=60) | st.text("[]{}\"':,-#&*!|>?%@`\\ue\n\t 0.1n~<=", max_size=40).map(str.encode))
@settings(max_examples=150, deadline=None)
def test_any_bytes_are_a_value_or_our_error(kind: str, data: bytes) -> None:
    with contextlib.suppress(FormatError):
        READERS[kind](data)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_what_is_sound_is_read_as_it_is(value: Any) -> None:
    for text in (json.dumps(value), json.dumps(value, ensure_ascii=False, indent=1)):
        try:
            data = text.encode()
        except UnicodeEncodeError:  # hypothesis wrote half a character
            continue
        assert json_value(data, "x") == value
        assert json_line(json.dumps(value), "x", 1) == value


@given(st.text(max_size=30) | st.text('{}[]",:\\ud8c0 1e9.-+ntrue', max_size=30))
@settings(max_examples=400, deadline=None)
def test_the_fast_reader_of_json_and_the_careful_one_agree(text: str) -> None:
    data = text.encode("utf-8", "surrogatepass")
    cursor = Cursor(data, "x")
    try:
        careful = [cursor.value(DEPTH)]
        cursor.finish(WHITE, "value")
    except FormatError:
        careful = []
    try:
        fast = [json_value(text, "x")]
    except FormatError:
        fast = []
    assert repr(fast) == repr(careful)


@pytest.mark.parametrize("depth", [DEPTH, DEPTH + 1])
def test_the_depth_that_is_read_is_the_same_for_every_kind(depth: int) -> None:
    texts = {
        "json": "[" * depth + "]" * depth,
        "toml": "a = " + "[" * (depth - 2) + "]" * (depth - 2),
        "yaml": "[" * (depth - 1) + "]" * (depth - 1),
    }
    for kind, text in texts.items():
        if depth > DEPTH:
            with pytest.raises(FormatError, match="nested too deeply"):
                READERS[kind](text.encode() if kind == "json" else text.replace("[", "[[").replace("]", "]]").encode())
        else:
            READERS[kind](text.encode())


def test_lines_end_at_newlines_only() -> None:
    r"""U+2028, U+2029, NEL and form feeds may stand in a string of JSON; `str.splitlines` cut it there."""
    odd = "\u2028\u2029\x85\x0b\x0c".replace("\x0b\x0c", "")
    data = (json.dumps({"a": odd}, ensure_ascii=False) + "\r\n").encode() * 2
    assert list(json_lines(data.split(b"\n"), "x")) == [(1, {"a": odd}), (2, {"a": odd})]


def test_a_torn_last_line_is_said_to_be_cut() -> None:
    with pytest.raises(FormatError, match="line 2 is not JSON: column 8: the text ends inside a value; it is cut"):
        list(json_lines([b'{"a": 1}', b'{"a": 1'], "x.jsonl"))


def test_a_byte_that_is_not_utf8_is_named_with_offset_and_line(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"\xef\xbb\xbfab\n\nc\xff")
    with pytest.raises(FormatError) as refused:
        read_text(tmp_path / "x")
    assert refused.value.offset == 8
    assert "byte 0xff in line 3" in refused.value.line


def test_a_byte_order_mark_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"\xef\xbb\xbf{}")
    assert read_text(tmp_path / "x") == "{}"
    assert json_value(b"\xef\xbb\xbf{}", "x") == {}


@pytest.mark.timeout(20)
def test_only_regular_files_are_opened_and_nothing_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    with socket.socket(socket.AF_UNIX) as served:
        served.bind("socket")
        for name in ("pipe", "folder", "socket", "/dev/zero", "/dev/null", "absent", "x/y"):
            with pytest.raises(MissingError) as refused:
                opened(name, "name another")
            assert refused.value.exit == 4
            assert refused.value.line.endswith("name another")
    with pytest.raises(UsageError):
        opened("a\0b")


def test_a_file_that_is_longer_than_its_kind_may_be_is_not_read(tmp_path: Path) -> None:
    with open(tmp_path / "x", "wb") as file:
        file.truncate(1 << 40)  # sparse
    with pytest.raises(FormatError, match="longer than 1 MiB"):
        read_bytes(tmp_path / "x", 1 << 20)
    assert len(read_bytes("/proc/self/status", 1 << 20)) > 0  # a file that says it is empty


def test_lines_of_keys_are_found_in_every_kind() -> None:
    toml = "a = '''\n[b]\n'''\n[b]\nc.d = 1 # x = 2\n[[e]]\n[[e]]\nf = 1\n"
    assert toml_lines(toml) == {
        ("a",): 1, ("b",): 4, ("b", "c", "d"): 5, ("b", "c"): 5, ("e", 0): 6, ("e",): 6, ("e", 1): 7, ("e", 1, "f"): 8,
    }  # fmt: skip
    assert yaml_value("a:\n  - b: 1\n  - c: 2\n", "x").lines["a", 1, "c"] == 3
    text = '{"a": [1,\n{"b": 2,\n"c": 3}]}'
    assert json_line_of(text, ("a", 1, "c")) == 3
    assert json_line_of(text, ("a", 2)) is None


def test_yaml_is_read_as_people_write_it() -> None:
    text = "a: &x {b: 1, c: yes}\nd: {<<: *x, b: 2}\ne: [1.5, .5, ~, 2024-01-01, 'no', 1_000]\n1: x\n"
    assert yaml_value(text, "x").value == {
        "a": {"b": 1, "c": True},
        "d": {"b": 2, "c": True},
        "e": [1.5, 0.5, None, "2024-01-01", "no", 1000],
        "1": "x",
    }
