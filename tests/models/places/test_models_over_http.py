"""A folder of the web gives the numbers of the same folder here: few requests, nothing written but the store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import kaibo
from kaibo.desk.measuring import Settings, measured
from kaibo.errors import FormatError, KaiboError, MissingError, NetworkError
from kaibo.models import open_model
from kaibo.models.places import far
from kaibo.testing.models import tiny_model, write_safetensors
from made import Made
from range_server import Served, redirect


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setattr(far, "FRESH", -1.0)
    monkeypatch.setenv("KAIBO_NETWORK_SECONDS", "5")
    with Served(tmp_path) as served:
        yield served


@pytest.mark.parametrize("shards", [1, 4, 40])
def test_inspect_asks_once_for_each_shard_and_twice_more(shards: int, served: Served) -> None:
    tiny_model(served.folder / "m", shards=shards)
    before = kaibo.inspect(str(served.folder / "m")).rows[0]
    after = kaibo.inspect(f"{served.url}/m").rows[0]
    assert (after.parameters, after.parameters_by_role) == (before.parameters, before.parameters_by_role)
    held = len(list((served.folder / "m").glob("*.safetensors")))
    assert len(served.requests) <= held + 2


def test_a_census_over_http_is_that_of_the_folder_and_is_not_made_twice(served: Served, tmp_path: Path) -> None:
    tiny_model(served.folder / "m", shards=3)
    (here,) = measured(served.folder / "m", Settings(store=tmp_path / "a"))
    (there,) = measured(f"{served.url}/m", Settings(store=tmp_path / "b"))
    assert there.model_id == here.model_id
    assert [row.content for row in there.rows] == [row.content for row in here.rows]
    (again,) = measured(f"{served.url}/m/", Settings(store=tmp_path / "b"))
    assert (again.measured, again.known) == (0, len(here.rows))


@pytest.mark.slow
def test_an_adapter_far_away_meets_a_base_far_away(served: Served, made: Made, tmp_path: Path) -> None:
    base, adapter = served.folder / "base", served.folder / "adapter"
    base.symlink_to(made.base())
    adapter.symlink_to(made.adapter())
    here = kaibo.diff(str(made.base()), str(made.adapter()), settings=Settings(store=tmp_path / "a")).norms.rows
    there = kaibo.diff(
        f"{served.url}/base", f"{served.url}/adapter", settings=Settings(store=tmp_path / "b")
    ).norms.rows
    assert [(row.l1, row.l2, row.cosine) for row in there] == [(row.l1, row.l2, row.cosine) for row in here]


def test_a_file_that_changes_between_header_and_tensors_is_an_error(served: Served) -> None:
    file = served.folder / "m.safetensors"
    write_safetensors(file, {"w": ("BF16", (400, 1024), bytes(800 * 1024))})
    (tensor,) = open_model(f"{served.url}/m.safetensors").tensors
    write_safetensors(file, {"w": ("BF16", (400, 1024), b"\1" * 800 * 1024)})
    with pytest.raises(FormatError, match="changed while reading"):
        list(tensor.chunks(np.empty(1 << 20, np.uint8)))


def test_a_folder_without_weights_and_a_host_that_is_away_are_told_at_once(served: Served) -> None:
    with pytest.raises(MissingError, match="no weights found"):
        open_model(f"{served.url}/nothing")
    served.close()
    with pytest.raises(NetworkError, match="is this machine online"):
        open_model(f"{served.url}/m")


def test_what_runs_a_model_says_that_its_files_are_needed_here(served: Served) -> None:
    from kaibo.models.opening import local_of

    with pytest.raises(MissingError, match="download the folder"):
        local_of(f"{served.url}/m")


def test_a_redirect_to_the_named_hosts_own_address_is_followed_and_to_another_private_one_is_not(
    served: Served,
) -> None:
    tiny_model(served.folder / "m")
    with Served(served.folder) as other:
        served.trouble = lambda request: redirect(other.url + request.path)
        assert open_model(f"{served.url}/m/model.safetensors").tensors
        assert other.requests
        count = len(other.requests)
        port = other.url.rpartition(":")[2]
        served.trouble = lambda request: redirect(f"http://127.0.0.3:{port}{request.path}")
        with pytest.raises(KaiboError) as problem:
            open_model(f"{served.url}/m/model.safetensors")
        assert problem.value.exit == 7
        assert len(other.requests) == count
