"""Bad input through the command line: the right code, one line that names the place, no traceback, names spelled."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kaibo.testing import tiny_model, write_safetensors
from malformed import FAULTS, FOLDERS, header, without


@pytest.mark.parametrize("fault", FAULTS)
def test_a_malformed_file_is_one_line_and_its_code(kaibo: Any, tmp_path: Path, fault: str) -> None:
    write, code, words = FAULTS[fault]
    name = write(tmp_path)
    for command in ("inspect", "census"):
        ran = kaibo(command, name)
        assert ran.code == code, ran.err
        (line,) = ran.lines
        assert line.startswith(f"kaibo: {name}: ")
        assert words in line
        assert "Traceback" not in ran.err + ran.out
        (error,) = kaibo(command, name, "--json").document["errors"]
        assert error["exit"] == code
        assert error["file"] == name


@pytest.mark.parametrize("fault", FOLDERS)
def test_a_folder_that_lies_is_one_line_and_its_code(kaibo: Any, tmp_path: Path, fault: str) -> None:
    write, code, words = FOLDERS[fault]
    write(tmp_path)
    for command in ("census", "digits", "dissect"):
        ran = kaibo(command, "m")
        assert ran.code == code, ran.err
        (line,) = ran.lines
        assert line.startswith("kaibo: m")
        assert words in line
    assert not (tmp_path / "kaibo-report").exists()


def test_a_missing_shard_is_named_with_the_tensors_lost(kaibo: Any, tmp_path: Path) -> None:
    without(tmp_path)
    index = json.loads((tmp_path / "m" / "model.safetensors.index.json").read_text())
    lost = [tensor for tensor, file in index["weight_map"].items() if file.startswith("model-00002")]
    (line,) = kaibo("census", "m").lines
    assert f"{len(lost)} tensors" in line
    assert sorted(lost)[0] in line


HOSTILE = [
    "\x1b[31mred\x1b[0m",
    "two\nlines",
    "\u202etxt.exe",
    "<script>alert(1)</script>",
    "x" * 70_000,
    "\x00",
    "\x9b31m",
]


@pytest.mark.parametrize("name", HOSTILE, ids=["ansi", "newline", "bidi", "html", "long", "nul", "c1"])
def test_a_hostile_tensor_name_never_reaches_the_terminal_raw(kaibo: Any, tmp_path: Path, name: str) -> None:
    text = json.dumps({name: {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}).encode()
    header(tmp_path, text, b"\0" * 8)
    ran = kaibo("census", "x.safetensors")
    assert ran.code == 3
    (line,) = ran.lines
    assert line.isprintable()
    assert len(line) < 1000
    write_safetensors(tmp_path / "good.safetensors", {name: ("F32", [2], np.array([1, 2], "<f4"))})
    for arguments in (["digits", "--by", "tensor"], ["stats", "--by", "tensor"], ["inspect", "--tensors"], ["dissect"]):
        shown = kaibo(*arguments, "good.safetensors")
        assert shown.code == 0, shown.err
        assert all(line.isprintable() for line in (shown.out + shown.err).split("\n"))
        document = kaibo(*arguments, "good.safetensors", "--json").document
        if arguments[0] == "digits":
            assert document["results"][0]["key"] == name


@pytest.mark.parametrize("name", ["-m", "with space", "二つ", "a\nb", "\x1b[31m", "x" * 250, "--json"])
def test_an_awkward_folder_is_a_folder_like_any_other(kaibo: Any, tmp_path: Path, name: str) -> None:
    tiny_model(tmp_path / name, layers=1)
    for command in ("census", "digits", "inspect", "dissect"):
        ran = kaibo(command, "--json", "--", name)
        assert ran.code == 0, ran.err
        assert ran.document["results"][0]["model"] == name
        shown = kaibo(command, "--", name)
        assert all(line.isprintable() for line in (shown.out + shown.err).split("\n"))


def test_a_path_of_4096_characters_and_an_empty_one_are_errors(kaibo: Any) -> None:
    for path in ("x/" * 2048, "x" * 4096, ""):
        ran = kaibo("census", path)
        assert ran.code in (2, 4), ran.err
        assert len(ran.lines) == 1


def test_a_bare_hub_name_is_met_with_the_address_it_may_mean(kaibo: Any) -> None:
    ran = kaibo("census", "org/name")
    assert ran.code == 4
    assert "hf:org/name" in ran.lines[0]


def test_a_broken_setting_names_its_variable(kaibo: Any, tiny: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAIBO_WORKERS", "many")
    ran = kaibo("census", tiny)
    assert ran.code == 2
    assert "KAIBO_WORKERS" in ran.lines[0]


def test_a_store_that_cannot_be_written_is_exit_6(kaibo: Any, tiny: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    ran = kaibo("census", tiny, "--store", "file", "--json")
    assert ran.code == 6, ran.err
    (error,) = ran.document["errors"]
    assert error["kind"] == "storage"
    assert len(ran.lines) == 1
