"""Folders and shards: what is there, what is lost, what disagrees, and what would lead out of the folder."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kaibo.errors import FormatError, KaiboError, MissingError, PolicyError
from kaibo.models import open_description, open_model
from kaibo.testing import tiny_model, write_safetensors
from kaibo.vocabulary import Model

INDEX = "model.safetensors.index.json"
SECOND = "model-00002-of-00003.safetensors"

# The hook stays for the life of the process, as audit hooks do; it only listens while a list is here.
heard: list[tuple[str, str]] | None = None


def listen(event: str, arguments: tuple[Any, ...]) -> None:
    if heard is not None and event in ("open", "socket.connect", "socket.getaddrinfo", "subprocess.Popen", "exec"):
        heard.append((event, str(arguments[0])))


@pytest.fixture
def opens() -> Iterator[list[tuple[str, str]]]:
    global heard
    if not getattr(listen, "added", False):
        sys.addaudithook(listen)
        listen.added = True  # type: ignore[attr-defined]
    heard = []
    yield heard
    heard = None


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny_model(tmp_path / "gemma", shards=3)


def change_index(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = folder / INDEX
    index = json.loads(path.read_text())
    change(index)
    path.write_text(json.dumps(index))


def values(model: Model) -> dict[str, bytes]:
    buffer = np.empty(1000, np.uint8)
    return {tensor.canonical: b"".join(part.tobytes() for part in tensor.chunks(buffer)) for tensor in model.tensors}


# The same model in every layout -------------------------------------------------------------------------------------


@pytest.mark.parametrize("shards", [2, 3, 7, 40])
def test_one_file_and_many_shards_are_the_same_model(tmp_path: Path, shards: int) -> None:
    whole = open_model(tiny_model(tmp_path / "one"))
    parts = open_model(tiny_model(tmp_path / "many", shards=shards))
    assert values(whole) == values(parts)
    assert [(t.name, t.role, t.layer) for t in whole.tensors] == [(t.name, t.role, t.layer) for t in parts.tensors]


def test_shards_without_an_index_are_a_model(folder: Path) -> None:
    expected = values(open_model(folder))
    (folder / INDEX).unlink()
    assert values(open_model(folder)) == expected


def test_files_with_other_names_together_are_a_model(folder: Path) -> None:
    expected = values(open_model(folder))
    (folder / INDEX).unlink()
    for number, path in enumerate(sorted(folder.glob("*.safetensors"))):
        path.rename(folder / f"part{number}.safetensors")
    assert values(open_model(folder)) == expected


def test_tensors_come_in_the_order_of_their_canonical_names(folder: Path) -> None:
    names = [tensor.canonical for tensor in open_model(folder).tensors]
    assert names == sorted(names)


def test_opening_reads_headers_only(folder: Path) -> None:
    sizes = {path.name: path.stat().st_size for path in folder.glob("*.safetensors")}
    model = open_model(folder)
    assert set(model.files) == set(sizes)
    assert all(tensor.source_key and len(tensor.source_key) == 64 for tensor in model.tensors)
    assert len({tensor.source_key for tensor in model.tensors}) == len(model.tensors)


# F-MISS -------------------------------------------------------------------------------------------------------------


def dangle(path: Path) -> None:
    path.unlink()
    path.symlink_to("gone.safetensors")


def point(path: Path) -> None:
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")


DAMAGE: list[tuple[Callable[[Path], object], type[KaiboError]]] = [
    (lambda path: path.unlink(), MissingError),
    (dangle, MissingError),
    (lambda path: path.write_bytes(b""), FormatError),
    (lambda path: os.truncate(path, path.stat().st_size - 1), FormatError),
    (lambda path: os.truncate(path, 20), FormatError),
    (point, FormatError),
]


@pytest.mark.parametrize(("damage", "kind"), DAMAGE)
def test_a_damaged_shard_is_named_with_the_tensors_lost(
    folder: Path, damage: Callable[[Path], object], kind: type[KaiboError]
) -> None:
    weight_map = json.loads((folder / INDEX).read_text())["weight_map"]
    lost = [name for name, shard in weight_map.items() if shard == SECOND]
    damage(folder / SECOND)
    with pytest.raises(kind) as caught:
        open_model(folder)
    assert caught.value.file == str(folder / SECOND)
    assert f"{len(lost)} tensors are lost: {lost[0]}" in caught.value.message


def test_a_series_without_an_index_must_be_complete(folder: Path) -> None:
    (folder / INDEX).unlink()
    (folder / SECOND).unlink()
    with pytest.raises(MissingError, match=SECOND):
        open_model(folder)


def test_a_series_that_promises_a_billion_shards_costs_nothing(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "model-00001-of-999999999.safetensors", {"w": ("U8", (1,), b"a")})
    with pytest.raises(MissingError, match="more"):
        open_model(tmp_path)


@pytest.mark.parametrize("names", [[], ["readme.md"], ["tokenizer.json"]])
def test_a_folder_without_weights_says_what_was_looked_for(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        (tmp_path / name).write_text("{}")
    with pytest.raises(MissingError) as caught:
        open_model(tmp_path)
    assert caught.value.line.endswith(
        "no weights found (looked for *.safetensors, *.gguf, *.bin); is this the right folder?"
    )


# F-IDX --------------------------------------------------------------------------------------------------------------

INDEXES = {
    "empty": b"",
    "cut": b'{"metadata": {"total_size": 4}, "weight_map": {"a": "model-0',
    "UTF-16": '{"weight_map":{"a":"x.safetensors"}}'.encode("utf-16"),
    "a list": b"[]",
    "null": b"null",
    "no weight_map": b'{"metadata":{}}',
    "weight_map a list": b'{"weight_map":["x.safetensors"]}',
    "weight_map empty": b'{"weight_map":{}}',
    "shard null": b'{"weight_map":{"a":null}}',
    "shard number": b'{"weight_map":{"a":1}}',
    "shard empty": b'{"weight_map":{"a":""}}',
    "shard NUL": rb'{"weight_map":{"a":"x\u0000.safetensors"}}',
    "shard list": b'{"weight_map":{"a":["x.safetensors"]}}',
    "duplicate tensor": b'{"weight_map":{"a":"x.safetensors","a":"y.safetensors"}}',
    "escaped twin": rb'{"weight_map":{"a":"x.safetensors","\u0061":"x.safetensors"}}',
    "two weight_maps": b'{"weight_map":{"a":"x.safetensors"},"weight_map":{"b":"x.safetensors"}}',
    "itself": b'{"weight_map":{"a":"model.safetensors.index.json"}}',
    "a folder": b'{"weight_map":{"a":"./"}}',
    "deep": b'{"x":' + b"[" * 60_000 + b"]" * 60_000 + b"}",
    "NaN": b'{"metadata":{"total_size":NaN},"weight_map":{"a":"x.safetensors"}}',
    "garbage behind": b'{"weight_map":{"a":"x.safetensors"}} x',
}


@pytest.mark.parametrize("what", INDEXES)
def test_a_malformed_index_is_refused(folder: Path, what: str) -> None:
    (folder / INDEX).write_bytes(INDEXES[what])
    with pytest.raises(FormatError) as caught:
        open_model(folder)
    assert caught.value.file == str(folder / INDEX)


# F-DIS --------------------------------------------------------------------------------------------------------------


def ghost(index: dict[str, Any]) -> None:
    index["weight_map"]["ghost.weight"] = SECOND


def unlisted(index: dict[str, Any]) -> None:
    del index["weight_map"]["model.norm.weight"]


def elsewhere(index: dict[str, Any]) -> None:
    index["weight_map"]["model.norm.weight"] = "model-00001-of-00003.safetensors"


@pytest.mark.parametrize(
    ("change", "named"), [(ghost, "ghost.weight"), (unlisted, "model.norm.weight"), (elsewhere, "model.norm.weight")]
)
def test_index_and_shards_that_disagree_are_refused_or_the_shards_trusted(
    folder: Path, change: Callable[[dict[str, Any]], None], named: str
) -> None:
    expected = values(open_model(folder))
    change_index(folder, change)
    with pytest.raises(FormatError, match=named) as caught:
        open_model(folder)
    assert "--trust-shards" in (caught.value.next or "")
    trusted = open_model(folder, trust_shards=True)
    assert values(trusted) == expected
    assert any(named in note for note in trusted.notes)


def test_every_disagreement_is_listed(folder: Path) -> None:
    for change in (ghost, elsewhere):
        change_index(folder, change)
    with pytest.raises(FormatError, match=r"2 tensors: .*ghost\.weight.*model\.norm\.weight"):
        open_model(folder)


@pytest.mark.parametrize("indexed", [True, False])
def test_a_tensor_in_two_shards_is_refused_or_taken_from_the_one_that_is_named(tmp_path: Path, indexed: bool) -> None:
    for number, value in enumerate(b"ab", 1):
        tensors = {"twice": ("U8", (1,), bytes([value])), f"own{number}": ("U8", (1,), b"c")}
        write_safetensors(tmp_path / f"model-0000{number}-of-00002.safetensors", tensors)
    if indexed:
        one, two = (f"model-0000{number}-of-00002.safetensors" for number in (1, 2))
        (tmp_path / INDEX).write_text(json.dumps({"weight_map": {"own1": one, "twice": two, "own2": two}}))
    with pytest.raises(FormatError, match="twice"):
        open_model(tmp_path)
    found = values(open_model(tmp_path, trust_shards=True))
    assert found == {"own1": b"c", "own2": b"c", "twice": b"b" if indexed else b"a"}


# F-ESC, F-LINK ------------------------------------------------------------------------------------------------------

ESCAPES = [
    "../secret.safetensors",
    "a/../../secret.safetensors",
    "/etc/passwd",
    "/dev/zero",
    "/proc/self/environ",
    "..\\secret.safetensors",
    "C:\\secret.safetensors",
    "C:secret.safetensors",
    "\\\\server\\share\\x.safetensors",
    "//server/share/x.safetensors",
    "%2e%2e/secret.safetensors",
    "%2e%2e%2fsecret.safetensors",
    "%252e%252e%252fsecret.safetensors",
    "..%5csecret.safetensors",
    "file:///etc/passwd",
    "file:secret.safetensors",
    "http://169.254.169.254/x.safetensors",
    "https://example.org/x.safetensors",
    "s3://bucket/x.safetensors",
    "~/x.safetensors",
    "~root/x.safetensors",
    "$HOME/x.safetensors",
    "${HOME}/x.safetensors",
    "x.safetensors/..",
]


@pytest.mark.parametrize("shard", ESCAPES)
@pytest.mark.parametrize("trust", [False, True])
def test_an_index_that_leads_out_of_the_folder_is_refused_before_anything_is_opened(
    folder: Path, shard: str, trust: bool, opens: list[tuple[str, str]]
) -> None:
    (folder.parent / "secret.safetensors").write_bytes((folder / SECOND).read_bytes())
    change_index(folder, lambda index: index["weight_map"].update({"model.norm.weight": shard}))
    del opens[:]
    with pytest.raises(PolicyError) as caught:
        open_model(folder, trust_shards=trust)
    assert caught.value.exit == 7
    outside = [path for event, path in opens if event != "open" or not path.startswith(str(folder))]
    assert [path for path in outside if not path.endswith((".py", ".pyc"))] == []


@pytest.mark.parametrize("shard", ["x.bin", "x.pt", "sub/x.PTH", "x.ckpt"])
def test_an_index_of_pickles_is_refused(folder: Path, shard: str) -> None:
    change_index(folder, lambda index: index["weight_map"].update({"model.norm.weight": shard}))
    with pytest.raises(PolicyError, match="pickle"):
        open_model(folder)


@pytest.mark.parametrize("name", [SECOND, INDEX, "config.json"])
@pytest.mark.parametrize("where", ["outside", "/dev/zero", "loop"])
def test_a_link_out_of_the_folder_is_not_followed(
    folder: Path, name: str, where: str, opens: list[tuple[str, str]]
) -> None:
    outside = (folder / name).rename(folder.parent / "outside")
    (folder / name).symlink_to({"outside": outside, "loop": folder / name}.get(where, where))
    del opens[:]
    with pytest.raises(PolicyError):
        open_model(folder)
    assert str(outside) not in [path for _, path in opens]
    assert "/dev/zero" not in [path for _, path in opens]


def test_a_subfolder_that_is_a_link_out_is_not_followed(tmp_path: Path) -> None:
    tiny_model(tmp_path / "elsewhere")
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "sub").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(MissingError):
        open_model(tmp_path / "m")
    (tmp_path / "m" / INDEX).write_text('{"weight_map":{"a":"sub/model.safetensors"}}')
    with pytest.raises(PolicyError):
        open_model(tmp_path / "m")


def test_a_link_inside_the_folder_is_followed(folder: Path) -> None:
    (folder / SECOND).rename(folder / "stored")
    (folder / SECOND).symlink_to("stored")
    assert len(open_model(folder).tensors) == 21


def test_a_folder_that_is_itself_a_link_is_a_model(folder: Path) -> None:
    link = folder.parent / "link"
    link.symlink_to(folder)
    assert open_model(link).name == "link"
    assert len(open_model(link / SECOND).tensors) > 0


# F-BOTH and other company -------------------------------------------------------------------------------------------


def test_both_layouts_work_and_it_is_said_which_was_used(folder: Path) -> None:
    expected = values(open_model(folder))
    whole = tiny_model(folder.parent / "whole")
    (whole / "model.safetensors").rename(folder / "model.safetensors")
    model = open_model(folder)
    assert values(model) == expected
    assert model.files == ("model.safetensors",)
    assert any("model.safetensors was used" in note for note in model.notes)


def test_a_stray_shard_and_a_wrong_total_are_notes(folder: Path) -> None:
    write_safetensors(folder / "model-00009-of-00009.safetensors", {"stray": ("U8", (1,), b"a")})
    change_index(folder, lambda index: index["metadata"].update({"total_size": 5}))
    model = open_model(folder)
    assert "stray" not in [tensor.name for tensor in model.tensors]
    assert any("model-00009" in note for note in model.notes)
    assert any("says that all tensors take 5 bytes" in note for note in model.notes)


@pytest.mark.parametrize(
    "metadata", [None, {}, "x", [1], {"total_size": "4"}, {"total_size": 1e99}, {"total_size": -1}]
)
def test_odd_metadata_of_an_index_does_no_harm(folder: Path, metadata: object) -> None:
    change_index(folder, lambda index: index.update({"metadata": metadata}))
    assert len(open_model(folder).tensors) == 21


def test_weights_in_the_one_subfolder_are_used_and_it_is_said(tmp_path: Path) -> None:
    tiny_model(tmp_path / "outer" / "inner", shards=2)
    model = open_model(tmp_path / "outer")
    assert len(model.tensors) == 21
    assert any("inner" in note for note in model.notes)
    tiny_model(tmp_path / "outer" / "other")
    with pytest.raises(MissingError, match="inner, other"):
        open_model(tmp_path / "outer")


def test_shards_in_a_subfolder_that_the_index_names_are_used(folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / SECOND).rename(folder / "sub" / SECOND)
    change_index(
        folder,
        lambda index: index.update(
            weight_map={k: f"sub/{SECOND}" if v == SECOND else v for k, v in index["weight_map"].items()}
        ),
    )
    assert f"sub/{SECOND}" in open_model(folder).files


def test_names_that_the_anatomy_would_merge_keep_the_name_of_the_file(tmp_path: Path) -> None:
    tensors = dict.fromkeys(("model.norm.weight", "norm.weight", "other"), ("F32", (1,), b"\x00" * 4))
    write_safetensors(tmp_path / "model.safetensors", tensors)
    assert len({tensor.canonical for tensor in open_model(tmp_path).tensors}) == 3


def test_an_adapter_says_what_it_is(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "adapter_model.safetensors", {"a.lora_A.weight": ("F32", (1,), b"\0" * 4)})
    (tmp_path / "adapter_config.json").write_text('{"r": 16, "base_model_name_or_path": "org/base"}')
    assert open_model(tmp_path).notes[0].startswith("adapter, rank 16, base org/base")


# What a folder says of itself ---------------------------------------------------------------------------------------

CONFIGS = {
    "deep": b"[" * 200_000 + b"]" * 200_000,
    "deep objects": b'{"a":' * 200_000 + b"1" + b"}" * 200_000,
    "NaN only": b"NaN",
    "a list": b"[1]",
    "empty": b"",
    "UTF-16": "{}".encode("utf-16"),
    "lone surrogate": rb'{"model_type":"\ud800"}',
    "5,000 digits": b'{"hidden_size":' + b"1" * 5000 + b"}",
    "bytes": bytes(range(256)),
}


@pytest.mark.parametrize("what", CONFIGS)
def test_a_config_that_makes_no_sense_is_a_note(folder: Path, what: str) -> None:
    for name in ("config.json", "tokenizer_config.json", "generation_config.json"):
        (folder / name).write_bytes(CONFIGS[what])
    model = open_model(folder)
    assert (model.config, len(model.tensors)) == ({}, 21)
    assert sum("config.json" in note for note in model.notes) == 3


def test_not_a_number_in_a_config_is_read_as_missing(folder: Path) -> None:
    (folder / "config.json").write_text(
        '{"model_type":"llama","a":NaN,"b":[0,Infinity],"c":1e999,"auto_map":{"x":"y.z"}}'
    )
    model = open_model(folder)
    assert model.config == {"model_type": "llama", "a": None, "b": [0, None], "c": None, "auto_map": {"x": "y.z"}}
    assert any("NaN" in note for note in model.notes)


def test_a_config_too_large_to_be_one_is_not_read(folder: Path) -> None:
    os.truncate(folder / "config.json", 1 << 30)
    assert open_model(folder).config == {}


def test_documents_beside_the_weights_are_kept_as_data(folder: Path) -> None:
    (folder / "tokenizer_config.json").write_text('{"chat_template": "inline", "bos_token": "<s>"}')
    assert open_model(folder).documents["chat_template"] == "inline"
    (folder / "chat_template.jinja").write_text("{{ ''.__class__.__mro__ }}")
    documents = open_model(folder).documents
    assert documents["chat_template"] == "{{ ''.__class__.__mro__ }}"
    assert documents["tokenizer_config.json"]["bos_token"] == "<s>"


def test_a_document_that_links_out_is_left_out_with_a_note(folder: Path) -> None:
    (folder.parent / "t.jinja").write_text("outside")
    (folder / "chat_template.jinja").symlink_to("../t.jinja")
    model = open_model(folder)
    assert "chat_template" not in model.documents
    assert any("chat_template.jinja is a link" in note for note in model.notes)


def test_a_description_needs_no_weights(folder: Path) -> None:
    alone = open_description(folder / "config.json")
    assert (alone.tensors, alone.config["hidden_size"], alone.name) == (None, 32, "gemma")
    with pytest.raises(MissingError, match="no weights"):
        open_model(folder / "config.json")
    whole = open_description(folder)
    assert whole.tensors is not None
    assert (len(whole.tensors), whole.family) == (21, "llama")
    for path in [*folder.glob("*.safetensors"), folder / INDEX]:
        path.unlink()
    assert open_description(folder).tensors is None
    (folder / "config.json").unlink()
    with pytest.raises(MissingError):
        open_description(folder)
