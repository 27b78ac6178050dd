"""Shards as tasks of a Ray cluster: the bytes of one process, whoever is killed on the way."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from dealt import Ask, merged, timeless
from kaibo.cli import main_loop
from kaibo.collect import clusters
from kaibo.collect.clusters import _Kept, _with
from kaibo.errors import StorageError
from kaibo.store import Store
from kaibo.testing import tiny_model

SOURCE = Path(clusters.__file__).parents[1]


@pytest.fixture
def asked(tmp_path: Path) -> list[str]:
    """A command line about two models."""
    for seed, name in enumerate(("base", "one")):
        tiny_model(tmp_path / name, seed=seed, layers=1)
    return ["diff", str(tmp_path / "base"), str(tmp_path / "one")]


def test_ray_is_imported_in_one_module() -> None:
    importing = re.compile(r"^\s*(?:import|from) ray\b", re.MULTILINE)
    found = [path.name for path in SOURCE.rglob("*.py") if importing.search(path.read_text(encoding="utf-8"))]
    assert found == ["clusters.py"]


@pytest.mark.parametrize("more", [["--shard", "0/2", "--engine", "ray"], ["--address", "auto"]])
def test_options_that_do_not_fit_together_are_one_line(
    asked: list[str], more: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main_loop([*asked, *more]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_without_the_extra_one_line_says_how_to_install_it(
    ask: Ask, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    (error,) = ask(*asked, "--engine", "ray", code=4)["errors"]
    assert error["next"] == 'pip install "kaibo[ray]"'


@pytest.mark.skipif(find_spec("ray") is None, reason="the extra ray is not installed")
def test_a_cluster_that_does_not_answer_is_one_line(ask: Ask, asked: list[str]) -> None:
    (error,) = ask(*asked, "--engine", "ray", "--address", "127.0.0.1:1", code=5)["errors"]
    assert (error["kind"], error["file"]) == ("network", "127.0.0.1:1")


def test_further_options_win_and_stand_before_what_is_no_option() -> None:
    assert _with(["census", "m", "--store", "a"], ["--store", "b"]) == ["census", "m", "--store", "a", "--store", "b"]
    assert _with(["census", "--", "-m"], ["--store", "b"]) == ["census", "--store", "b", "--", "-m"]


def test_a_driver_that_starts_again_asks_only_for_the_shares_that_it_has_not(
    ask: Ask, asked: list[str], tmp_path: Path
) -> None:
    for index in range(2):
        ask(*asked, "--shard", f"{index}/2", "--store", tmp_path / f"{index}")
    into = Store(tmp_path / "into")
    first = _Kept(into, {"arguments": asked}, 2)
    first.put(1, Store(tmp_path / "1").parts.files())
    again = _Kept(into, {"arguments": asked}, 2)
    assert again.missing() == [0]
    assert _Kept(into, {"arguments": [*asked, "--bounds"]}, 2).missing() == [0, 1]
    again.put(0, Store(tmp_path / "0").parts.files())
    again.settle()
    assert merged(tmp_path / "a", into.path) == merged(tmp_path / "b", tmp_path / "0", tmp_path / "1")


def test_a_part_that_came_with_other_bytes_is_refused(ask: Ask, asked: list[str], tmp_path: Path) -> None:
    ask(*asked, "--shard", "0/1", "--store", tmp_path / "own")
    files = Store(tmp_path / "own").parts.files()
    part = next(name for name in files if name.endswith(".parquet"))
    with pytest.raises(StorageError, match="SHA-256"):
        Store(tmp_path / "other").parts.adopt({**files, part: files[part][:-1] + b"?"})


def test_lent_parts_are_known_and_not_sent_back(ask: Ask, asked: list[str], tmp_path: Path) -> None:
    ask(*asked, "--shard", "0/2", "--store", tmp_path / "own")
    other = Store(tmp_path / "other")
    lent = Store(tmp_path / "own").parts.lend(other.parts)
    assert other.parts.files() == Store(tmp_path / "own").parts.files()
    assert other.parts.files(lent) == {}
    assert all(row["measured"] == 0 for row in ask(*asked, "--shard", "0/2", "--store", other.path)["results"])


needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="the extra ray is not installed")


def children(of: int) -> Iterator[int]:
    """All processes below one."""
    for path in Path(f"/proc/{of}/task").glob("*/children"):
        for child in map(int, path.read_text().split()):
            yield child
            yield from children(child)


def listening(pid: int) -> set[str]:
    """The addresses, as the kernel writes them, on which a process listens for others."""
    held = {os.readlink(path) for path in Path(f"/proc/{pid}/fd").iterdir() if path.is_symlink()}
    rows = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    return {row[1].partition(":")[0] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in held}


@pytest.mark.slow
@needs_ray
def test_a_cluster_gives_the_bytes_of_one_process_whoever_is_killed(ask: Ask, asked: list[str], tmp_path: Path) -> None:
    ask(*asked, "--store", tmp_path / "serial")
    serial = timeless(ask(*asked, "--store", tmp_path / "serial"))
    killed: list[str] = []
    heard: set[str] = set()
    over = threading.Event()

    def kill() -> None:
        """The first process of a shard, then the first worker, as soon as they are seen."""
        while not over.is_set() and len(killed) < 2:
            for pid in list(children(os.getpid())):
                try:
                    words = Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
                    heard.update(listening(pid))
                except OSError:
                    continue
                named = "--shard" if not killed else "ray::_share"
                if named in words and "raylet" not in words:
                    os.kill(pid, signal.SIGKILL)
                    killed.append(words)
                    break
            time.sleep(0.05)

    killer = threading.Thread(target=kill)
    killer.start()
    found = ask(*asked, "--store", tmp_path / "cluster", "--engine", "ray", "--workers", "2")
    over.set()
    killer.join()
    assert len(killed) == 2
    assert heard <= {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}
    assert timeless(found) == serial
    assert merged(tmp_path / "a", tmp_path / "cluster") == merged(tmp_path / "b", tmp_path / "serial")
    assert not (tmp_path / "cluster-shares").exists()


@pytest.mark.slow
@needs_ray
def test_a_driver_that_was_killed_goes_on_where_it_was(ask: Ask, asked: list[str], tmp_path: Path) -> None:
    ask(*asked, "--bounds", "--store", tmp_path / "serial")
    words = [*asked, "--bounds", "--store", str(tmp_path / "cluster"), "--engine", "ray", "--workers", "4"]
    with subprocess.Popen(
        [sys.executable, "-m", "kaibo", *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as driver:
        while driver.poll() is None and not list(tmp_path.glob("cluster-shares/*/*-of-4")):
            time.sleep(0.01)
        driver.kill()
    assert driver.returncode == -signal.SIGKILL, "it was killed before it was done"
    assert not (tmp_path / "cluster").exists(), "nothing was merged yet"
    found = ask(*words)
    assert timeless(found) == timeless(ask(*asked, "--bounds", "--store", tmp_path / "serial"))
    assert merged(tmp_path / "a", tmp_path / "cluster") == merged(tmp_path / "b", tmp_path / "serial")


@pytest.mark.slow
@needs_ray
def test_another_kaibo_on_a_node_is_refused(
    ask: Ask, asked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clusters, "here", lambda: "0.0.1 (other)")
    (error,) = ask(*asked, "--store", tmp_path / "cluster", "--engine", "ray", "--workers", "1", code=7)["errors"]
    assert "runs on a node, 0.0.1 (other) here" in error["message"]
    assert not list(tmp_path.glob("cluster*"))
