"""How models are named, and where the names lead."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from kaibo.errors import KaiboError, MissingError, PolicyError, UsageError
from kaibo.models import open_description, open_model
from kaibo.models.addresses import hub_parts
from kaibo.testing import tiny_model

REVISION = "0a1b2c3d" * 5


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A repository in a Hugging Face cache: a snapshot of links into the blobs."""
    repository = tmp_path / "hub" / "models--org--tiny"
    snapshot = repository / "snapshots" / REVISION
    snapshot.mkdir(parents=True)
    (repository / "blobs").mkdir()
    for number, path in enumerate(sorted(tiny_model(tmp_path / "made", shards=2).iterdir())):
        path.rename(repository / "blobs" / f"{number:064x}")
        (snapshot / path.name).symlink_to(f"../../blobs/{number:064x}")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(REVISION)
    return repository


def test_a_cache_snapshot_is_a_model_under_the_name_of_its_repository(cache: Path) -> None:
    model = open_model(cache / "snapshots" / REVISION)
    assert (model.name, len(model.tensors), model.config["model_type"]) == ("org/tiny", 21, "llama")


def test_the_folder_of_a_cached_repository_is_its_main_snapshot(cache: Path) -> None:
    for _ in range(2):
        model = open_model(cache)
        assert (model.name, len(model.tensors)) == ("org/tiny", 21)
        assert any(REVISION in note for note in model.notes)
        (cache / "refs" / "main").unlink(missing_ok=True)  # one snapshot is enough to know which


@pytest.mark.parametrize("main", ["../../..", "/etc", "", "absent", "a" * 9999])
def test_a_ref_that_names_no_snapshot_leads_nowhere(cache: Path, main: str) -> None:
    (cache / "refs" / "main").write_text(main)
    with pytest.raises(MissingError, match="refs/main"):
        open_model(cache)


def test_a_ref_that_is_a_pipe_is_not_waited_for(cache: Path) -> None:
    (cache / "refs" / "main").unlink()
    os.mkfifo(cache / "refs" / "main")
    assert len(open_model(cache).tensors) == 21


def test_a_cached_link_that_leaves_the_repository_is_refused(cache: Path) -> None:
    link = cache / "snapshots" / REVISION / "config.json"
    link.unlink()
    (cache.parent / "other").write_text("{}")
    link.symlink_to("../../../other")
    with pytest.raises(PolicyError):
        open_model(cache)


def test_a_blob_that_is_missing_is_missing(cache: Path) -> None:
    link = next((cache / "snapshots" / REVISION).glob("*.safetensors"))
    link.resolve().unlink()
    with pytest.raises(MissingError, match="tensors are lost"):
        open_model(cache)


def test_blobs_may_not_be_reached_from_a_folder_that_only_looks_alike(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "x" / "y")
    (tmp_path / "blobs").mkdir()
    (folder / "config.json").rename(tmp_path / "blobs" / "b")
    (folder / "config.json").symlink_to("../../blobs/b")
    with pytest.raises(PolicyError):
        open_model(folder)


def test_a_model_is_named_after_its_folder_or_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tiny_model(tmp_path / "gemma-2b")
    assert open_model(folder).name == "gemma-2b"
    assert open_model(str(folder) + "/").name == "gemma-2b"
    assert open_model(folder / "model.safetensors").name == "gemma-2b"
    shutil.copy(folder / "model.safetensors", tmp_path / "merged.v2.safetensors")
    assert open_model(tmp_path / "merged.v2.safetensors").name == "merged.v2"
    monkeypatch.chdir(folder)
    assert open_model(".").name == "gemma-2b"
    assert open_model("model.safetensors").address == "model.safetensors"


def test_the_address_is_kept_as_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny_model(tmp_path / "m")
    monkeypatch.chdir(tmp_path)
    assert open_model("./m").address == "./m"
    (tmp_path / "m" / "model.safetensors").write_bytes(b"")
    with pytest.raises(KaiboError) as caught:
        open_model("./m")
    assert caught.value.file == "./m/model.safetensors"


def test_a_bare_hub_name_that_is_no_folder_is_asked_about(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MissingError) as caught:
        open_model("org/name")
    assert caught.value.line == "org/name: no such file or folder; did you mean hf:org/name?"


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("", UsageError),
        ("a\0b", UsageError),
        ("./nowhere", MissingError),
        ("n" * 5000, MissingError),
        ("https://", UsageError),
        ("https://user:word@example.org/model", UsageError),
        ("https://example.org/model.safetensors?sig=1", UsageError),
        ("ftp://host/key", UsageError),
        ("file:///etc/passwd", UsageError),
        ("ftp://example.org/x", UsageError),
        ("nowhere.gguf", MissingError),
        ("hf:", UsageError),
        ("hf:a/b/c", UsageError),
        ("hf:../x", UsageError),
        ("hf:org/name@", UsageError),
        ("hf:org/na me", UsageError),
    ],
)
def test_addresses_that_lead_nowhere_say_so(address: str, kind: type[KaiboError]) -> None:
    for opening in (open_model, open_description):
        with pytest.raises(kind):
            opening(address)


def test_kinds_that_come_later_are_named(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(b"GGUF\x03\0\0\0" + b"\0" * 64)
    for address in (tmp_path, tmp_path / "model.gguf"):
        with pytest.raises(KaiboError, match="GGUF"):
            open_model(address)


def test_a_hub_address_has_a_repository_and_a_revision() -> None:
    assert hub_parts("hf:org/name@refs/pr/1") == ("org/name", "refs/pr/1", None)
    assert hub_parts("hf:org/name@refs/pr/1/a.gguf") == ("org/name", "refs/pr/1", "a.gguf")
    assert hub_parts("hf:gpt2") == ("gpt2", None, None)
