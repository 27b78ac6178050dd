"""A prefix of an object store gives the numbers of the same folder here; refusals are one line without secrets."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import kaibo
from kaibo.desk.measuring import Settings, measured
from kaibo.errors import FormatError, KaiboError, MissingError, NetworkError, UsageError
from kaibo.models import open_model
from kaibo.models.places import asking, far
from kaibo.testing.models import tiny_model, write_safetensors
from object_server import Objects
from range_server import Fault, Request, nothing, reset, short, status

pytest.importorskip("obstore")


@pytest.mark.parametrize("shards", [1, 4])
def test_inspect_asks_once_for_each_shard_and_twice_more(shards: int, bucket: Objects) -> None:
    folder = tiny_model(bucket.folder / "b/models/m", shards=shards)
    before, after = kaibo.inspect(str(folder)).rows[0], kaibo.inspect("s3://b/models/m").rows[0]
    assert after.parameters_by_role == before.parameters_by_role
    assert len(bucket.requests) <= len(list(folder.glob("*.safetensors"))) + 2


def test_a_census_is_that_of_the_folder_and_is_not_made_twice(bucket: Objects, tmp_path: Path) -> None:
    folder = tiny_model(bucket.folder / "b/m", shards=3)
    (here,) = measured(folder, Settings(store=tmp_path / "a"))
    (there,) = measured("s3://b/m", Settings(store=tmp_path / "b"))
    assert there.model_id == here.model_id
    (again,) = measured("s3://b/m/", Settings(store=tmp_path / "b"))
    assert (again.measured, again.known) == (0, len(here.rows))


def test_files_under_any_name_are_found_in_the_list(bucket: Objects) -> None:
    folder = tiny_model(bucket.folder / "b/m")
    (folder / "model.safetensors").rename(folder / "weights.safetensors")
    assert len(open_model("s3://b/m").tensors) == len(open_model("s3://b/m/weights.safetensors").tensors) == 21


def test_an_object_that_changes_between_header_and_tensors_is_an_error(bucket: Objects) -> None:
    file = bucket.folder / "b/m.safetensors"
    file.parent.mkdir(parents=True)
    write_safetensors(file, {"w": ("BF16", (400, 1024), bytes(800 * 1024))})
    (tensor,) = open_model("s3://b/m.safetensors").tensors
    write_safetensors(file, {"w": ("BF16", (400, 1024), b"\1" * 800 * 1024)})
    with pytest.raises(FormatError, match="changed while reading"):
        list(tensor.chunks(np.empty(1 << 20, np.uint8)))


FAULTS = {"slow down": status(503), "cut": short, "nothing": nothing, "reset": reset}


@pytest.mark.parametrize("name", FAULTS)
def test_what_breaks_once_is_survived(name: str, bucket: Objects) -> None:
    file = bucket.folder / "b/m.safetensors"
    file.parent.mkdir(parents=True)
    data = np.random.default_rng(0).bytes(800 * 1024)
    write_safetensors(file, {"w": ("BF16", (400, 1024), data)})
    seen: set[int] = set()

    def once(request: Request) -> Fault | None:
        start = (request.range or (0, 0))[0]
        fresh = start not in seen
        seen.add(start)
        return FAULTS[name] if fresh else None

    bucket.trouble = once
    (tensor,) = open_model("s3://b/m.safetensors").tensors
    assert b"".join(chunk.tobytes() for chunk in tensor.chunks(np.empty(1 << 20, np.uint8))) == data


def test_what_is_refused_is_one_line_without_secrets(bucket: Objects, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny_model(bucket.folder / "b/m")
    bucket.key = "AKIDEXAMPLE"
    assert open_model("s3://b/m").tensors
    bucket.key = "ANOTHER"
    problems: list[KaiboError] = []
    for address, kind in (("s3://b/m", MissingError), ("s3://user:secret@b/m", UsageError)):
        with pytest.raises(kind) as refused:
            open_model(address)
        problems.append(refused.value)
    bucket.key, bucket.trouble = None, lambda request: status(500)
    monkeypatch.setattr(asking, "TRIES", 2)
    with pytest.raises(NetworkError, match="500, 2 times") as broken:
        open_model("s3://b/m")
    bucket.trouble = lambda request: status(301)
    with pytest.raises(MissingError, match="AWS_REGION") as elsewhere:
        open_model("s3://b/m")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(NetworkError, match="is this machine online") as away:
        open_model("s3://b/m")
    for problem in (*problems, broken.value, elsewhere.value, away.value):
        assert "\n" not in problem.line
        assert not any(word in problem.line for word in ("SECRET", "AKID", "secret", "of the other side"))


def test_without_credentials_nothing_is_signed_and_nobody_asked_for_them(
    bucket: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_model(bucket.folder / "b/m")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert open_model("s3://b/m").tensors
    assert not any("authorization" in map(str.lower, request.headers) for request in bucket.requests)


def test_an_empty_object_is_a_file_without_bytes(bucket: Objects) -> None:
    (bucket.folder / "b").mkdir(parents=True)
    (bucket.folder / "b/m.safetensors").touch()
    with pytest.raises(FormatError, match=r"m\.safetensors"):
        open_model("s3://b/m.safetensors")


def test_without_the_extra_the_line_that_installs_it_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "obstore", None)
    with pytest.raises(MissingError, match=r'pip install "kaibo\[remote\]"'):
        open_model("s3://bucket/m")


@pytest.fixture
def moto(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of moto's S3, with a versioned bucket "models"; its client wants an older dateutil: install it apart."""
    server = shutil.which("moto_server")
    if server is None:
        pytest.skip("no moto_server on the PATH (pip install 'moto[s3,server]' in an environment of its own)")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    monkeypatch.setattr(far, "FRESH", -1.0)
    url = f"http://127.0.0.1:{port}"
    for name, value in (("ENDPOINT_URL", url), ("ACCESS_KEY_ID", "AKID"), ("SECRET_ACCESS_KEY", "SECRET")):
        monkeypatch.setenv(f"AWS_{name}", value)
    with subprocess.Popen([server, "-H", "127.0.0.1", "-p", str(port)], stderr=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline:
                try:
                    asked(f"{url}/models")
                    break
                except OSError:
                    time.sleep(0.2)
            asked(
                f"{url}/models?versioning",
                b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>",
            )
            yield url
        finally:
            process.terminate()


def asked(url: str, body: bytes = b"") -> None:
    who = "AWS4-HMAC-SHA256 Credential=AKID/20261201/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
    headers = {"Content-Type": "application/octet-stream", "Authorization": who}
    request = urllib.request.Request(url, body, headers, method="PUT")
    urllib.request.urlopen(request, timeout=10).close()


@pytest.mark.slow
def test_motos_server_gives_the_numbers_of_the_folder_and_its_versions_are_pinned(moto: str, tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "m", shards=3)
    for file in folder.iterdir():
        asked(f"{moto}/models/m/{file.name}", file.read_bytes())
    (here,) = measured(folder, Settings(store=tmp_path / "a"))
    (there,) = measured("s3://models/m", Settings(store=tmp_path / "b"))
    assert there.model_id == here.model_id
    assert sorted(far.object_folder("s3://models/m").listed()) == sorted(file.name for file in folder.iterdir())
    data = [np.random.default_rng(seed).bytes(800 * 1024) for seed in range(2)]
    for content in data:
        write_safetensors(tmp_path / "w.safetensors", {"w": ("BF16", (400, 1024), content)})
        asked(f"{moto}/models/w.safetensors", (tmp_path / "w.safetensors").read_bytes())
        if content is data[0]:
            (tensor,) = open_model("s3://models/w.safetensors").tensors
    read = b"".join(chunk.tobytes() for chunk in tensor.chunks(np.empty(1 << 20, np.uint8)))
    assert read == data[0]  # of the version that was opened
