import errno
import json
import os
import struct
import zlib
from pathlib import Path

import pytest
import sample_findings as sample
from hypothesis import given
from hypothesis import strategies as st

from kaibo.errors import PolicyError, StorageError
from kaibo.figures import figure, render
from kaibo.reports.provenance import Mark, found_mark, marked
from kaibo.reports.writing import MANIFEST, write_output

MARK = Mark("dissect", "gemma")
FILES = {
    "index.html": b"<!DOCTYPE html><html><head><title>x</title></head></html>",
    "results.json": b'{"command": "dissect"}',
    "empty.json": b"{}",
    "figures/digits.svg": b'<svg xmlns="http://www.w3.org/2000/svg" width="1"><g/></svg>',
    "tables/digits.csv": b"a,b\n1,2\n",
}


def everything(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


def test_writing_twice_just_works_and_gives_the_same_bytes(tmp_path):
    write_output(tmp_path / "a" / "b", FILES, mark=MARK)
    first = everything(tmp_path)
    write_output(tmp_path / "a" / "b", FILES, mark={"command": "dissect", "model": "gemma"})
    assert {name: data for name, data in everything(tmp_path).items() if not name.endswith(MANIFEST)} == {
        name: data for name, data in first.items() if not name.endswith(MANIFEST)
    }
    assert not any(".part" in name for name in first)


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_another_model_is_refused_and_nothing_is_touched(tmp_path, name):
    write_output(tmp_path, {name: FILES[name]}, mark=Mark("dissect", "llama"))
    before = (tmp_path / name).read_bytes()
    with pytest.raises(StorageError, match="--force") as refused:
        write_output(tmp_path, FILES, mark=MARK)
    assert refused.value.exit == 6
    assert (tmp_path / name).read_bytes() == before
    assert sorted(everything(tmp_path)) == sorted([MANIFEST, name])
    write_output(tmp_path, FILES, mark=MARK, force=True)
    write_output(tmp_path, FILES, mark=MARK)


@pytest.mark.parametrize("name", FILES)
def test_somebody_elses_file_is_refused(tmp_path, name):
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_bytes(FILES[name])
    with pytest.raises(StorageError, match="was not made by this command"):
        write_output(tmp_path, FILES, mark=MARK)
    assert (tmp_path / name).read_bytes() == FILES[name]


def test_a_table_that_was_edited_is_somebodys(tmp_path):
    write_output(tmp_path, FILES, mark=MARK)
    (tmp_path / "tables/digits.csv").write_text("my notes")
    with pytest.raises(StorageError, match=r"digits\.csv"):
        write_output(tmp_path, FILES, mark=MARK)


def test_links_are_replaced_under_force_and_never_followed(tmp_path):
    outside = tmp_path / "outside"
    outside.write_text("precious")
    out = tmp_path / "out"
    out.mkdir()
    (out / "index.html").symlink_to(outside)
    with pytest.raises(StorageError, match="not a regular file"):
        write_output(out, FILES, mark=MARK)
    write_output(out, FILES, mark=MARK, force=True)
    assert outside.read_text() == "precious"
    assert not (out / "index.html").is_symlink()


def test_a_folder_that_is_a_link_is_refused_even_under_force(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "figures").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageError, match="link"):
        write_output(tmp_path / "out", FILES, mark=MARK, force=True)
    assert not list((tmp_path / "elsewhere").iterdir())


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", "a\\b", "", MANIFEST, "a\0b"])
def test_a_name_that_leaves_the_folder_is_refused(tmp_path, name):
    with pytest.raises(PolicyError):
        write_output(tmp_path, {name: b""}, mark=MARK)


def test_a_folder_in_the_way_is_named(tmp_path):
    (tmp_path / "index.html").mkdir()
    with pytest.raises(StorageError, match="is a folder"):
        write_output(tmp_path, FILES, mark=MARK, force=True)


@pytest.mark.parametrize("failing", ["fsync", "replace"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EIO, errno.EDQUOT])
def test_a_full_or_broken_disk_names_path_and_free_bytes_and_leaves_no_half_file(tmp_path, monkeypatch, failing, code):
    write_output(tmp_path, FILES, mark=MARK)
    before = everything(tmp_path)
    real, calls = getattr(os, failing), []

    def fails_at_third(*arguments):
        calls.append(arguments)
        if len(calls) >= 3:
            raise OSError(code, os.strerror(code))
        return real(*arguments)

    monkeypatch.setattr(os, failing, fails_at_third)
    changed = {**FILES, "tables/digits.csv": b"a,b\n3,4\n"}
    with pytest.raises(StorageError, match="bytes free") as refused:
        write_output(tmp_path, changed, mark=MARK)
    assert str(tmp_path) in refused.value.line
    after = everything(tmp_path)
    assert sorted(after) == sorted(before)  # nothing temporary is left
    monkeypatch.undo()
    write_output(tmp_path, changed, mark=MARK)  # and what is there is still ours to replace
    assert (tmp_path / "tables/digits.csv").read_bytes() == b"a,b\n3,4\n"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_forbidden_folder_is_a_storage_error(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(StorageError, match="Permission"):
        write_output(tmp_path / "x", FILES, mark=MARK)


@given(st.text(), st.text())
def test_a_mark_comes_back_from_every_format_that_carries_one(command, model):
    mark = Mark(command.encode("utf-8", "replace").decode(), model.encode("utf-8", "replace").decode())
    for name, data in FILES.items():
        if not name.endswith(".csv"):
            assert found_mark(name, marked(name, data, mark)) == mark
            assert found_mark(name, data) is None


@given(st.binary(max_size=300), st.sampled_from(["x.html", "x.json", "x.svg", "x.png", "x.csv"]))
def test_no_bytes_of_a_stranger_break_the_search_for_a_mark(data, name):
    prefixes = (b"", b'{"kaibo": ', b"\x89PNG\r\n\x1a\n", b'<meta name="kaibo" content="', b"<metadata>kaibo ")
    for prefix in prefixes:
        found_mark(name, prefix + data)


def test_a_marked_picture_is_still_a_picture():
    data = marked("x.png", render(figure(sample.inspected()), "png"), MARK)
    assert found_mark("x.png", data[:4096]) == MARK
    place = 8
    while place < len(data):  # every chunk's checksum holds
        (size,) = struct.unpack(">I", data[place : place + 4])
        (check,) = struct.unpack(">I", data[place + 8 + size : place + 12 + size])
        assert check == zlib.crc32(data[place + 4 : place + 8 + size])
        place += 12 + size


def test_marked_json_is_the_same_document_with_one_key_more():
    assert json.loads(marked("x.json", FILES["results.json"], MARK)) == {
        "kaibo": {"command": "dissect", "model": "gemma"},
        "command": "dissect",
    }
    assert marked("x.json", b"[1]", MARK) == b"[1]"
