"""The names that scripts rely on, as DESIGN.md lists them, and the one document of every command."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kaibo.models import open_model
from kaibo.testing import tiny_model, write_safetensors
from kaibo.vocabulary import LEVELS

NAMES = {
    "inspect": "model family parameters parameters_by_role kv_bytes_per_token context attention weights_bytes",
    "census": "model model_id tensors values seconds bytes",
    "digits": "model by key n zeros nonfinite counts shares mae conformity gaussian_mae mixture_mae",
    "stats": "model by key n mean std skew kurtosis l1 l2 max zeros nonfinite",
    "spectrum": "model tensor shape spectral_norm stable_rank entropy_rank rank90 rank99 alpha",
    "dissect": "model page json inspect digits stats findings",
}
ERROR = {"kind", "file", "tensor", "offset", "message", "next", "exit"}


@pytest.mark.parametrize("command", NAMES)
def test_results_hold_the_names_that_the_design_promises(kaibo: Any, tiny: str, command: str) -> None:
    ran = kaibo(command, tiny, "--json")
    assert ran.code == 0, ran.err
    document = ran.document
    assert document["command"] == command
    assert document["version"]
    assert document["errors"] == []
    for result in document["results"]:
        assert set(NAMES[command].split()) <= set(result)
        assert result["model"] == tiny


def test_inspect_counts_in_the_units_it_names(kaibo: Any, tiny: str) -> None:
    (found,) = kaibo("inspect", tiny, "--json").document["results"]
    values = kaibo("census", tiny, "--json").document["results"][0]["values"]
    assert found["parameters"] == values == sum(found["parameters_by_role"].values())
    assert set(found["weights_bytes"]) == {"32", "16", "8", "4"}
    assert found["weights_bytes"]["16"] == 2 * values
    assert found["kv_bytes_per_token"] == 2 * 2 * 2 * (2 * 8)  # k and v, fp16, layers, 2 heads of 8


def test_inspect_lists_tensors_by_absolute_offset(kaibo: Any, tiny: str, tmp_path: Path) -> None:
    listed = kaibo("inspect", tiny, "--tensors", "--json").document["results"][0]["tensors"]
    content = (tmp_path / tiny / "model.safetensors").read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    assert len(listed) == len(header) - 1
    for tensor in listed:
        assert {"name", "dtype", "shape", "file", "begin", "end"} <= set(tensor)
        entry = header[tensor["name"]]
        assert [tensor["dtype"], tensor["shape"]] == [entry["dtype"], entry["shape"]]
        assert [tensor["begin"] - 8 - length, tensor["end"] - 8 - length] == entry["data_offsets"]
        assert tensor["file"].endswith("model.safetensors")


@pytest.mark.parametrize("command", ["digits", "stats"])
@pytest.mark.parametrize("by", LEVELS)
def test_every_level_has_its_keys_and_adds_up_to_the_model(kaibo: Any, tiny: str, command: str, by: str) -> None:
    values = kaibo("census", tiny, "--json").document["results"][0]["values"]
    rows = kaibo(command, tiny, "--by", by, "--json").document["results"]
    kind = {"model": type(None), "layer": int, "role": str, "tensor": str}[by]
    assert all(
        row["by"] == by and isinstance(row["key"], kind | (type(None) if by == "layer" else kind)) for row in rows
    )
    assert sum(row["n"] for row in rows) == values
    if command == "digits":
        for row in rows:
            assert len(row["counts"]) == len(row["shares"]) == 9
            assert sum(row["counts"]) + row["zeros"] + row["nonfinite"] == row["n"]
            assert abs(sum(row["shares"]) - 1) < 1e-12


def test_what_is_not_a_number_is_null_with_its_reason(kaibo: Any, tmp_path: Path) -> None:
    contents = {
        "empty": ("F32", [0, 3], b""),
        "constant": ("F32", [8], np.full(8, 0.5, "<f4")),
        "nan": ("BF16", [4], np.full(4, 0x7FC0, "<u2")),
        "zeros": ("F16", [4], np.zeros(4, "<u2")),
    }
    write_safetensors(tmp_path / "odd.safetensors", contents)
    for command in ("digits", "stats"):
        ran = kaibo(command, "odd.safetensors", "--by", "tensor", "--json")
        assert ran.code == 0
        rows = {row["key"]: row for row in ran.document["results"]}
        assert set(rows) == set(contents)
        for row in rows.values():
            nulls = {name for name, value in row.items() if value is None}
            optional = {"mae_low", "mae_high", "conformity", "grid"}
            assert nulls - optional <= set(row.get("why", {})), row
            assert all(reason != "not a number" for reason in row.get("why", {}).values()), row["why"]
    page = kaibo("dissect", "odd.safetensors", "--json")
    assert page.code == 0, page.err
    json.loads(Path(page.document["results"][0]["json"]).read_text(), parse_constant=lambda name: pytest.fail(name))


def test_an_error_is_an_object_with_the_exit_code_of_the_process(kaibo: Any) -> None:
    for command in ("inspect", "census", "digits", "stats", "dissect"):
        ran = kaibo(command, "./nowhere", "--json")
        (error,) = ran.document["errors"]
        assert ran.code == error["exit"] == 4
        assert set(error) == ERROR
        assert error["file"] == "./nowhere"
        assert ran.document["results"] == []
        assert len(ran.lines) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["census"],
        ["census", "tiny", "--nosuch"],
        ["digits", "tiny", "--by", "planet"],
        ["dissect", "tiny", "--lang", "tlh"],
        ["dissect", "tiny", "--figures", "gif"],
        ["census", "tiny", "--workers", "0"],
        ["census", "tiny", "--workers", "x"],
        ["digits", "tiny", "--table", "table.xlsx"],
        ["inspect", "tiny", "--tokens", "-5"],
        ["inspect", "tiny", "--lang", "tlh"],
        ["stats", "tiny", "--lang", "tlh", "--figure", "x.svg"],
        ["sql", "SELEC 1"],
        ["sql", "SELECT * FROM read_csv('/etc/passwd')"],
        ["store", "nosuch"],
        ["nosuch"],
        ["store"],
        [],
    ],
)
def test_a_wrong_call_is_one_document_and_one_line_too(kaibo: Any, tiny: str, arguments: list[str]) -> None:
    ran = kaibo(*arguments, "--json")
    assert ran.code == 2, (ran.out, ran.err)
    (error,) = ran.document["errors"]
    assert error["exit"] == 2
    assert error["kind"] == "usage"
    assert len(ran.lines) == 1
    assert ran.lines[0].startswith("kaibo: ")


def test_an_unknown_option_is_answered_with_the_nearest(kaibo: Any, tiny: str) -> None:
    ran = kaibo("census", tiny, "--worker", "2")
    assert ran.code == 2
    assert "--workers" in ran.lines[0]


def test_one_broken_model_does_not_stop_the_others(kaibo: Any, tiny: str, tmp_path: Path) -> None:
    tiny_model(tmp_path / "second", seed=1)
    (tmp_path / "broken.safetensors").write_bytes(b"\0" * 4)
    for command in ("inspect", "census", "digits", "stats"):
        ran = kaibo(command, tiny, "broken.safetensors", "second", "--json")
        assert ran.code == 3, ran.err
        assert [row["model"] for row in ran.document["results"]] == [tiny, "second"]
        assert [error["exit"] for error in ran.document["errors"]] == [3]
        two = kaibo(command, "broken.safetensors", tiny, "./nowhere", "--json")
        assert two.code == 8
        assert [error["exit"] for error in two.document["errors"]] == [3, 4]
        assert [row["model"] for row in two.document["results"]] == [tiny]
        assert len(two.lines) == 2


def test_fail_fast_ends_at_the_first_model_that_cannot_be_read(kaibo: Any, tiny: str) -> None:
    ran = kaibo("census", "./nowhere", tiny, "--fail-fast", "--json")
    assert ran.code == 4
    assert ran.document["results"] == []


def test_the_same_census_twice_reads_nothing_and_verify_reads_again(kaibo: Any, tiny: str) -> None:
    (first,) = kaibo("census", tiny, "--json").document["results"]
    (second,) = kaibo("census", tiny, "--json").document["results"]
    (again,) = kaibo("census", tiny, "--verify", "--json").document["results"]
    assert (first["read"], first["known"]) == (21, 0)
    assert (second["read"], second["known"], second["bytes"]) == (0, 21, 0)
    assert (again["read"], again["known"], again["bytes"]) == (21, 0, first["bytes"])
    assert first["model_id"] == second["model_id"] == again["model_id"]


def test_the_document_is_the_same_for_any_number_of_workers_but_for_the_seconds(kaibo: Any, tiny: str) -> None:
    seen = {
        kaibo("digits", tiny, "--by", "tensor", "--workers", str(workers), "--store", f"s{workers}", "--json").out
        for workers in (1, 2, 7)
    }
    assert len(seen) == 1


def test_notes_go_to_stderr_and_into_the_document(kaibo: Any, tmp_path: Path) -> None:
    tiny_model(tmp_path / "m", dtype="F32", layers=1)
    values = kaibo("stats", "m", "--json").document["results"][0]["n"]
    contents = {
        "model.layers.0.self_attn.q_proj.weight": ("F32", [2], np.array([1, 2], "<f4")),
        "ids": ("I64", [2], np.array([1, 2], "<i8")),
        "model.layers.0.self_attn.rotary_emb.inv_freq": ("F32", [2], np.array([5, 6], "<f4")),
    }
    write_safetensors(tmp_path / "m" / "model.safetensors", contents)
    assert values > 2
    document = kaibo("census", "m", "--json").document
    (row,) = document["results"]
    assert (row["tensors"], row["listed"]) == (2, 1)
    assert any("1 tensors are not weights (I64)" in note for note in document["warnings"])
    (stats,) = kaibo("stats", "m", "--json").document["results"]
    assert (stats["n"], stats["mean"]) == (2, 1.5)


def test_fail_fast_ends_at_the_first_tensor_and_reads_no_other_model(
    kaibo: Any, tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kaibo.desk import measuring

    def cut_after_opening(address: str, **options: Any) -> Any:
        model = open_model(address, **options)
        if address == "second":
            os.truncate(tmp_path / "second" / "model.safetensors", 3000)
        return model

    tiny_model(tmp_path / "second", seed=1)
    monkeypatch.setattr(measuring, "open_model", cut_after_opening)
    ran = kaibo("census", "second", tiny, "--fail-fast", "--json")
    assert ran.code == 3, ran.err
    assert len(ran.document["errors"]) == len(ran.lines) == 1
    assert kaibo("store", "ls", "--json").document.get("results", []) == []
    tiny_model(tmp_path / "second", seed=2)
    others = kaibo("census", "second", tiny, "--json")
    assert others.code == 3
    assert tiny in [row["model"] for row in others.document["results"]]
