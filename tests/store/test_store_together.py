"""Several processes share one store: writers never wait, readers are never blocked, only compaction is alone."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from kaibo.errors import MissingError, StorageError
from kaibo.store import Counted, Failure, Store
from kaibo.store.locks import alone
from kaibo.store.writers import alive, writing
from kaibo.vocabulary import Census, Row

NONE = np.zeros(0, np.uint64)

WRITER = """
import sys
import numpy as np
from kaibo.store import Counted, Store
from kaibo.vocabulary import Census

none = np.zeros(0, np.uint64)
store = Store(sys.argv[1])
for seed in range(int(sys.argv[2]), int(sys.argv[3])):
    counts = np.array([seed + 1], np.uint64)
    census = Census("BF16", np.zeros(1, np.uint32), counts, none, none.reshape(0, 2), 0.0, 0.0)
    store.record([Counted(f"source {seed}", f"{seed:032x}", census)])
"""


def counted(seed: int) -> Counted:
    counts = np.array([seed + 1], np.uint64)
    census = Census("BF16", np.zeros(1, np.uint32), counts, NONE, NONE.reshape(0, 2), 0.0, 0.0)
    return Counted(f"source {seed}", f"{seed:032x}", census)


def rows(address: str, *seeds: int) -> list[Row]:
    return [Row(address, address * 16, f"w{s}", None, "other", "BF16", (s + 1,), f"{s:032x}", None) for s in seeds]


def start(store: Store, first: int, end: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", WRITER, str(store.path), str(first), str(end)])


def test_two_writers_a_reader_and_a_compaction_at_once_lose_nothing(tmp_path: Path) -> None:
    store, reader = Store(tmp_path / "store"), Store(tmp_path / "store")
    writers = [start(store, 0, 30), start(store, 20, 50)]  # ten are measured by both
    seen = 0
    while any(writer.poll() is None for writer in writers):
        store.compact()
        found = reader.contents([f"source {seed}" for seed in range(50)])
        assert len(found) >= seen  # what was once visible stays visible
        assert all(content == f"{int(source.split()[1]):032x}" for source, content in found.items())
        seen = len(found)
    assert [writer.returncode for writer in writers] == [0, 0]
    store.compact()
    fresh = Store(store.path)
    assert fresh.censuses([f"{seed:032x}" for seed in range(50)]) == {
        f"{seed:032x}": counted(seed).census for seed in range(50)
    }
    assert len(fresh.contents([f"source {seed}" for seed in range(50)])) == 50
    assert fresh.parts.read("census").num_rows == 50
    assert fresh.verify() == []
    assert len(fresh.parts.entries()) == 2


def test_compaction_merges_what_is_small_and_changes_no_row(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    for seed in range(8):
        store.record([counted(seed)])
    before = store.parts.read("census").to_pylist()
    done = store.compact()
    assert (done.parts_before, done.parts_after) == (16, 2)
    assert done.bytes_after < done.bytes_before
    assert Store(store.path).parts.read("census").to_pylist() == before
    assert store.compact().parts_after == 2


def test_compacting_nothing_creates_nothing(tmp_path: Path) -> None:
    assert Store(tmp_path / "store").compact().parts_before == 0
    assert not (tmp_path / "store").exists()


def test_a_second_compaction_is_told_who_is_at_it(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    store.record([counted(1)])
    with alone(store.path / "locks"):
        for work in (store.compact, lambda: store.remove("m")):
            with pytest.raises(StorageError) as caught:
                work()
            assert caught.value.exit == 6
            assert f"process {os.getpid()} on {socket.gethostname()}" in caught.value.line
        store.record([counted(2)])  # writers do not wait
        assert len(Store(store.path).contents(["source 1", "source 2"])) == 2
    store.compact()


def test_the_lock_of_a_dead_process_is_taken_over_and_of_another_host_respected(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    store.record([counted(1)])
    script = (
        "import os, sys; from pathlib import Path; from kaibo.store.locks import alone;"
        "lock = alone(Path(sys.argv[1])); lock.__enter__(); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", script, str(store.path / "locks")], check=True)
    left = next((store.path / "locks").iterdir())
    store.compact()
    assert not left.exists()
    elsewhere = store.path / "locks" / f"00000000-{left.name.split('-', 1)[1]}"
    elsewhere.write_text(json.dumps({"pid": 7, "host": "faraway"}))
    with pytest.raises(StorageError, match="on faraway"):
        store.compact()


def test_a_process_with_the_same_pid_as_a_dead_one_is_not_mistaken_for_it() -> None:
    with writing() as token:
        assert alive(token)
        host, pid, run, number = token.split("-")
    assert not alive(token)
    assert not alive(f"{host}-1-{run}-{number}")  # a process that lives, but started at another time
    assert alive(f"ffffffff-{pid}-{run}-{number}")


def test_nothing_depends_on_the_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path / "store")
    store.record_model("m", "older", rows("m", 1))
    monkeypatch.setattr(time, "time", lambda: 0.0)  # the clock goes back to 1970
    Store(store.path).record_model("m", "newer", rows("m", 1))
    for path in store.path.rglob("*"):
        os.utime(path, (10**9, 10**9) if path.is_file() else None)
    fresh = Store(store.path)
    assert fresh.parts.read("models")["family"].to_pylist() == ["newer"]
    fresh.compact()
    assert fresh.parts.read("models")["family"].to_pylist() == ["newer"]


def test_the_newest_row_stays_the_newest_whatever_is_merged(tmp_path: Path) -> None:
    store, late = Store(tmp_path / "store"), Store(tmp_path / "store")
    store.record_model("m", "first", rows("m", 1))
    store.record_model("m", "second", rows("m", 1))
    merge = store.parts.write

    def merge_late(*given: object) -> object:
        late.record_model("m", "third", rows("m", 1))  # recorded while the compaction is writing
        return merge(*given)  # type: ignore[arg-type]

    store.parts.write = merge_late  # type: ignore[method-assign, assignment]
    store.compact()
    assert Store(store.path).parts.read("models")["family"].to_pylist() == ["third"]


def test_a_model_is_listed_with_its_share_of_the_disk(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    store.record([counted(seed) for seed in range(4)])
    store.record_model("org/a", "llama", rows("a", 0, 1))
    store.record_model("org/b", "llama", rows("b", 1, 2, 3))
    size = store.parts.entries("census")[0].size
    listed = [(m.name, m.address, m.tensors, m.values, m.bytes, m.parts) for m in store.listing()]
    assert listed == [("org/a", "a", 2, 3, round(size / 2), 1), ("org/b", "b", 3, 9, round(size * 3 / 4), 1)]


def test_forgetting_a_model_frees_what_only_it_uses(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    store.record([counted(seed) for seed in range(5)])  # the last belongs to no model yet
    store.record_model("org/a", "llama", rows("a", 0, 1))
    store.record_model("org/b", "llama", rows("b", 1, 2, 3))
    store.record_failures([Failure("a", None, "format", "cut"), Failure("b", None, "format", "cut")])
    assert store.remove("org/a") > 0
    assert [model.name for model in store.listing()] == ["org/b"]
    assert set(store.censuses([f"{seed:032x}" for seed in range(5)])) == {f"{seed:032x}" for seed in (1, 2, 3, 4)}
    assert set(store.contents([f"source {seed}" for seed in range(5)])) == {f"source {seed}" for seed in (1, 2, 3, 4)}
    assert store.sql("SELECT model FROM failures").to_pydict() == {"model": ["b"]}
    store.remove("b")
    assert store.listing() == []
    assert set(store.censuses([f"{seed:032x}" for seed in range(5)])) == {f"{4:032x}"}
    with pytest.raises(MissingError, match="no model org/a"):
        store.remove("org/a")


def test_forgetting_in_a_store_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(MissingError):
        Store(tmp_path / "store").remove("m")
    assert not (tmp_path / "store").exists()
