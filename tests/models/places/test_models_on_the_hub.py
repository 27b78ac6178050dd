"""A repository of the hub gives the numbers of the same folder here, with few requests and nothing fetched."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import kaibo
from hub_server import Hub
from kaibo.desk.measuring import Settings, measured
from kaibo.errors import FormatError, MissingError, NetworkError, UsageError
from kaibo.models import open_model
from kaibo.models.places.repository import Repository
from kaibo.testing.models import tiny_model
from range_server import Handler, redirect, status

constants = pytest.importorskip("huggingface_hub.constants")


def cached(hub: Hub, cache: Path, revision: str = "main") -> Path:
    """What `huggingface_hub` leaves of org/m."""
    home, commit = cache / "models--org--m", hub.commit("org/m", revision)
    (home / "refs").mkdir(parents=True)
    (home / "refs" / revision).write_text(commit)
    (home / "blobs").mkdir()
    snapshot = home / "snapshots" / commit
    snapshot.mkdir(parents=True)
    for file in (hub.folder / "org/m" / revision).iterdir():
        shutil.copy(file, home / "blobs" / file.name)
        (snapshot / file.name).symlink_to(Path("../../blobs") / file.name)
    return snapshot


@pytest.mark.parametrize("shards", [1, 4, 40])
def test_inspect_asks_the_hub_once_for_each_shard_and_twice_more(shards: int, hub: Hub) -> None:
    folder = tiny_model(hub.folder / "org/m/main", shards=shards)
    before, after = kaibo.inspect(str(folder)).rows[0], kaibo.inspect("hf:org/m").rows[0]
    assert (after.parameters, after.parameters_by_role) == (before.parameters, before.parameters_by_role)
    held = len(list(folder.glob("*.safetensors")))
    assert len(hub.asked) <= held + 2
    assert len(hub.blobs.requests) <= held + 1


def test_a_census_from_the_hub_is_that_of_the_folder_and_equal_shards_are_read_once(hub: Hub, tmp_path: Path) -> None:
    folder = tiny_model(hub.folder / "org/m/main", shards=3)
    shutil.copytree(folder, hub.folder / "org/same/v1")
    (here,) = measured(folder, Settings(store=tmp_path / "a"))
    (there,) = measured("hf:org/m", Settings(store=tmp_path / "b"))
    assert (there.model_id, there.model.name) == (here.model_id, "org/m")
    assert [row.content for row in there.rows] == [row.content for row in here.rows]
    (again,) = measured("hf:org/same@v1", Settings(store=tmp_path / "b"))
    assert (again.measured, again.known) == (0, len(here.rows))
    assert not (tmp_path / "cache").exists()


def test_the_token_is_for_the_hub_alone_and_stands_in_no_error_and_no_row(hub: Hub, tmp_path: Path) -> None:
    tiny_model(hub.folder / "org/m/main")
    hub.private.add("org/m")
    list(measured("hf:org/m", Settings(store=tmp_path / "store")))
    assert hub.blobs.requests
    assert not any("hf_secret_token" in str(request.headers) for request in hub.blobs.requests)
    secrets = (b"hf_secret_token", b"X-Signature")
    assert not any(word in file.read_bytes() for file in (tmp_path / "store").rglob("*.*") for word in secrets)


def test_the_commit_is_pinned_when_the_branch_moves_on(hub: Hub, tmp_path: Path) -> None:
    before = tiny_model(hub.folder / "org/m/before", shards=2)
    tiny_model(hub.folder / "org/m/after", shards=2, seed=1)
    hub.heads["main"] = "before"
    place = Repository("org/m", None)
    config = place.opened("config.json")
    hub.heads["main"] = "after"
    for file in before.iterdir():
        opened = place.opened(file.name)
        assert opened.read(0, opened.size) == file.read_bytes()
    assert set(place.listed()) == {file.name for file in before.iterdir()}
    assert config.size == (before / "config.json").stat().st_size


REFUSED = [
    ("hf:org/gated", "org/gated", "accept its licence at .*/org/gated and set HF_TOKEN"),
    ("hf:org/private", "org/private", "no such repository, or it is private"),
    ("hf:org/absent", "", "no such repository"),
    ("hf:org/m@v9", "", "has no revision v9"),
]


@pytest.mark.parametrize(("address", "closed", "said"), REFUSED)
def test_what_the_hub_refuses_is_said_in_its_words_at_once(
    address: str, closed: str, said: str, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", "/nowhere")
    for name in ("m", "gated", "private"):
        tiny_model(hub.folder / f"org/{name}/main")
    hub.gated, hub.private = {"org/gated"}, {"org/private"}
    for opening in (open_model, kaibo.inspect):
        with pytest.raises(MissingError, match=said) as problem:
            opening(address)
        assert problem.value.exit == 4
        assert "hf_secret" not in problem.value.line
    assert len(hub.asked) <= 2


def test_what_the_cache_holds_is_read_there(hub: Hub, tmp_path: Path) -> None:
    folder = tiny_model(hub.folder / "org/m/main", shards=2)
    cached(hub, tmp_path / "cache")
    (found,) = measured("hf:org/m", Settings(store=tmp_path / "store"))
    (here,) = measured(folder, Settings(store=tmp_path / "other"))
    assert found.model_id == here.model_id
    assert len(hub.asked) <= 4  # which commit main is, and what else there may be
    assert not hub.blobs.requests


def test_offline_the_cache_answers_or_one_line_does(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny_model(hub.folder / "org/m/main", shards=2)
    snapshot = cached(hub, tmp_path / "cache")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert len(open_model("hf:org/m").tensors) == 21
    with pytest.raises(NetworkError, match="HF_HUB_OFFLINE is set"):
        open_model("hf:org/other")
    next(snapshot.glob("*-of-*")).unlink()
    with pytest.raises(NetworkError, match="HF_HUB_OFFLINE is set") as problem:
        open_model("hf:org/m")
    assert problem.value.exit == 5
    assert not hub.asked


def test_out_of_reach_the_cache_answers(hub: Hub, tmp_path: Path) -> None:
    tiny_model(hub.folder / "org/m/main")
    cached(hub, tmp_path / "cache")
    hub.front.close()
    assert len(open_model("hf:org/m").tensors) == 21
    with pytest.raises(NetworkError, match=r"the hub is out of reach .* cached are: org/m"):
        open_model("hf:org/other")


def test_files_of_a_repository_are_named_behind_it(hub: Hub) -> None:
    folder = tiny_model(hub.folder / "org/m/main")
    (folder / "model.safetensors").rename(folder / "weights.safetensors")
    names = {tensor.name for tensor in open_model("hf:org/m").tensors}  # found in the list
    for address in ("hf:org/m/weights.safetensors", "hf:org/m@main/weights.safetensors"):
        assert {tensor.name for tensor in open_model(address).tensors} == names
    with pytest.raises(UsageError, match="no hub address"):
        open_model("hf:org/m/../weights.safetensors")


def test_faults_of_the_second_host_are_survived_or_one_line(hub: Hub, tmp_path: Path) -> None:
    folder = tiny_model(hub.folder / "org/m/main", shards=2)
    (here,) = measured(folder, Settings(store=tmp_path / "a"))
    seen: set[str] = set()

    def ran_out(request: object) -> object:  # every signed address runs out once
        path = request.path  # type: ignore[attr-defined]
        first = path not in seen
        seen.add(path)
        return status(503) if first else None

    hub.blobs.trouble = ran_out  # type: ignore[assignment]
    (there,) = measured("hf:org/m", Settings(store=tmp_path / "b"))
    assert there.model_id == here.model_id
    hub.blobs.trouble = lambda request: redirect("file:///etc/passwd")
    with pytest.raises(kaibo.KaiboError) as problem:
        open_model("hf:org/m")
    assert problem.value.exit == 7
    hub.blobs.trouble = lambda request: status(403)
    with pytest.raises(MissingError, match="403") as refused:
        open_model("hf:org/m")
    assert "X-Signature" not in refused.value.line


def test_one_flipped_byte_is_found_by_the_published_hash_and_nothing_of_it_is_kept(hub: Hub, tmp_path: Path) -> None:
    tiny_model(hub.folder / "org/m/main", shards=2)
    settings = Settings(store=tmp_path / "store", verify=True)
    (sound,) = measured("hf:org/m", settings)
    assert any("2 of 2 files have their published SHA-256" in told for told in sound.model.notes)
    (unlooked,) = measured("hf:org/m", Settings(store=tmp_path / "other"))
    assert any("unverified" in told for told in unlooked.model.notes)

    def flipped(handler: Handler, body: bytes, start: int, size: int) -> bool:
        wrong = bytearray(body)
        wrong[-1] ^= 1
        handler.partial(bytes(wrong), start, size)
        handler.wfile.write(wrong)
        return True

    hub.blobs.trouble = lambda request: flipped
    fresh = Settings(store=tmp_path / "fresh", verify=True)
    with pytest.raises(FormatError, match=r"has the SHA-256 \w+…, published is") as problem:
        list(measured("hf:org/m", fresh))
    assert problem.value.exit == 3
    hub.blobs.trouble = lambda request: None
    (again,) = measured("hf:org/m", Settings(store=tmp_path / "fresh"))
    assert (again.known, again.model_id) == (0, sound.model_id)


@pytest.mark.slow
def test_tensors_of_shards_with_equal_hashes_are_read_once_and_the_numbers_are_those_of_the_folders(
    hub: Hub, tmp_path: Path
) -> None:
    base, tuned = tiny_model(hub.folder / "org/m/main", shards=4), hub.folder / "org/tuned/main"
    shutil.copytree(base, tuned)
    other = tiny_model(tmp_path / "other", shards=4, seed=1)
    changed = sorted(file.name for file in tuned.glob("*.safetensors"))[0]
    shutil.copy(other / changed, tuned / changed)
    there = kaibo.diff("hf:org/m", "hf:org/tuned", settings=Settings(store=tmp_path / "a"))
    here = kaibo.diff(base, tuned, settings=Settings(store=tmp_path / "b"))
    rows = [[(row.l1, row.l2, row.cosine, row.relative) for row in one.norms.rows] for one in (there, here)]
    assert rows[0] == rows[1]
    assert any("equal published hashes" in one for one in there.norms.notes)
    (compared,) = there.compared
    (local,) = here.compared
    assert compared.measured < local.measured
