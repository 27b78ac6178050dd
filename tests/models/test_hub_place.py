"""What is fetched for those who run a model, and what is said when it cannot be. The client is real."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import torch
from huggingface_hub import constants, errors

from kaibo.errors import KaiboError, MissingError, NetworkError
from kaibo.models.opening import local_of
from kaibo.testing import tiny_model


class Response:
    """As much of an HTTP response as the client's errors look at."""

    def __init__(self, status: int) -> None:
        self.status_code = status
        self.headers: dict[str, str] = {}
        self.request = None


def answer(kind: type[Exception], status: int) -> Exception:
    return kind("hf_secret", response=Response(status))  # type: ignore[call-arg]


def unreachable(cause: Exception) -> Exception:
    error = errors.LocalEntryNotFoundError("Cannot find an appropriate cached snapshot folder")
    error.__cause__ = cause
    return error


Fetch = Callable[[Exception | Path], list[dict[str, Any]]]


@pytest.fixture
def fetch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Fetch:
    def no_socket(*_: object, **__: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket.socket, "connect", no_socket)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))

    def set_answer(result: Exception | Path) -> list[dict[str, Any]]:
        calls: list[dict[str, Any]] = []

        def snapshot_download(repository: str, **options: Any) -> str:
            calls.append({"repository": repository, **options})
            if isinstance(result, Exception):
                raise result
            return str(result)

        monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
        return calls

    return set_answer


def test_a_repository_is_fetched_without_code_and_without_second_copies(fetch: Fetch, tmp_path: Path) -> None:
    calls = fetch(tiny_model(tmp_path / "snapshot"))
    target = local_of("hf:org/tiny@v1")
    assert (target.name, target.address, target.has("model.safetensors")) == ("org/tiny", "hf:org/tiny@v1", True)
    assert (calls[0]["repository"], calls[0]["revision"]) == ("org/tiny", "v1")
    files = ["model.safetensors", "config.json", "modeling_x.py", "pytorch_model.bin", "chat_template.jinja", "a.pt"]
    kept = huggingface_hub.utils.filter_repo_objects(
        files, allow_patterns=calls[0]["allow_patterns"], ignore_patterns=calls[0]["ignore_patterns"]
    )
    assert set(kept) == {"model.safetensors", "config.json", "chat_template.jinja"}
    assert len(calls) == 1


def test_of_a_repository_without_safetensors_the_files_of_pytorch_are_fetched(fetch: Fetch, tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "snapshot")
    (folder / "model.safetensors").unlink()
    torch.save({"model.norm.weight": torch.ones(3)}, folder / "pytorch_model.bin")
    calls = fetch(folder)
    local_of("hf:org/old")
    files = ["config.json", "pytorch_model.bin", "training_args.bin", "optimizer.bin", "x.py", "a.pt", "rust_model.ot"]
    kept = huggingface_hub.utils.filter_repo_objects(
        files, allow_patterns=calls[1]["allow_patterns"], ignore_patterns=calls[1]["ignore_patterns"]
    )
    assert set(kept) == {"config.json", "pytorch_model.bin"}


def test_without_weights_none_are_fetched_and_a_file_that_is_named_is(fetch: Fetch, tmp_path: Path) -> None:
    calls = fetch(tiny_model(tmp_path / "snapshot"))
    local_of("hf:org/tiny", weights=False)
    assert "*.safetensors" not in calls[0]["allow_patterns"]
    (tmp_path / "snapshot/a.gguf").touch()
    assert local_of("hf:org/tiny/a.gguf").file == "a.gguf"
    assert ("a.gguf" in calls[1]["allow_patterns"], calls[1]["ignore_patterns"]) == (True, [])


DENIED = [
    answer(errors.GatedRepoError, 403),
    answer(errors.GatedRepoError, 401),
    answer(errors.RepositoryNotFoundError, 401),
    unreachable(answer(errors.HfHubHTTPError, 403)),
    answer(errors.HfHubHTTPError, 401),
]


@pytest.mark.parametrize("problem", DENIED)
def test_a_closed_repository_names_its_page_and_the_variable(fetch: Fetch, problem: Exception) -> None:
    fetch(problem)
    with pytest.raises(MissingError) as caught:
        local_of("hf:org/closed")
    assert caught.value.exit == 4
    assert "https://huggingface.co/org/closed" in caught.value.line
    assert "HF_TOKEN" in caught.value.line
    assert "hf_secret" not in caught.value.line


@pytest.mark.parametrize(
    "problem", [answer(errors.RepositoryNotFoundError, 404), answer(errors.RevisionNotFoundError, 404)]
)
def test_what_is_not_on_the_hub_is_missing(fetch: Fetch, problem: Exception) -> None:
    fetch(problem)
    with pytest.raises(MissingError, match=r"no such repository|no revision v9"):
        local_of("hf:org/absent@v9")


UNREACHED = [
    unreachable(errors.OfflineModeIsEnabled("offline")),
    unreachable(ConnectionError("refused")),
    unreachable(answer(errors.HfHubHTTPError, 503)),
    answer(errors.HfHubHTTPError, 429),
    TimeoutError("slow"),
]


@pytest.mark.parametrize("problem", UNREACHED)
def test_a_hub_out_of_reach_says_what_is_cached(fetch: Fetch, tmp_path: Path, problem: Exception) -> None:
    fetch(problem)
    with pytest.raises(NetworkError, match="nothing is cached") as caught:
        local_of("hf:org/tiny")
    assert caught.value.exit == 5
    (tmp_path / "cache" / "models--org--other").mkdir(parents=True)
    with pytest.raises(NetworkError, match="cached are: org/other"):
        local_of("hf:org/tiny")


def test_offline_the_real_client_answers_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(NetworkError, match="HF_HUB_OFFLINE"):
        local_of("hf:org/tiny")


def test_a_disk_that_is_full_is_not_called_a_network_error(fetch: Fetch) -> None:
    fetch(OSError(28, "No space left on device"))
    with pytest.raises(KaiboError, match="No space left"):
        local_of("hf:org/tiny")


def test_without_the_extra_the_line_that_installs_it_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "huggingface_hub", None)
    with pytest.raises(MissingError, match=r'pip install "kaibo\[hub\]"'):
        local_of("hf:org/tiny")
