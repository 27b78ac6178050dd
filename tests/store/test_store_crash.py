"""Every write, fsync, rename and unlink of a store's life is made to fail, or to be the last thing that happens.

The number of operations is finite, so all of them are tried. After each the store is opened afresh: what was
acknowledged is there, nothing is there twice or in part, and running again gives what an undisturbed run gives.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faults import disturbed, full, in_a_child, nothing, refused, refusing
from kaibo.errors import StorageError
from kaibo.store import Counted, Failure, Store
from kaibo.vocabulary import Census, Row

NONE = np.zeros(0, np.uint64)


def counted(seed: int) -> Counted:
    counts = np.arange(seed, seed + 3, dtype=np.uint64)
    census = Census("BF16", np.arange(3, dtype=np.uint32), counts, NONE, NONE.reshape(0, 2), 0.0, float(seed))
    return Counted(f"source {seed}", f"{seed:032x}", census)


def rows(address: str, *seeds: int) -> list[Row]:
    return [Row(address, address * 4, f"w{seed}", None, "other", "BF16", (3,), f"{seed:032x}", None) for seed in seeds]


STEPS: tuple[tuple[str, Callable[[Store], object]], ...] = (
    ("record 1 2", lambda store: store.record([counted(1), counted(2)])),
    ("model a", lambda store: store.record_model("a", "llama", rows("a", 1, 2))),
    ("record 3", lambda store: store.record([counted(3)])),
    ("model b", lambda store: store.record_model("b", "llama", rows("b", 2, 3))),
    ("compact", lambda store: store.compact()),
    ("record 4", lambda store: store.record([counted(4)])),
    ("failure", lambda store: store.record_failures([Failure("c", "w", "format", "cut")])),
    ("compact again", lambda store: store.compact()),
)
PROMISES: dict[str, tuple[set[int], set[str]]] = {
    "record 1 2": ({1, 2}, set()),
    "model a": (set(), {"a"}),
    "record 3": ({3}, set()),
    "model b": (set(), {"b"}),
    "record 4": ({4}, set()),
}


def run(folder: Path, report: Callable[[str], None] = nothing) -> None:
    store = Store(folder)
    for name, step in STEPS:
        step(store)
        report(name)


def contents(folder: Path) -> dict[str, list[dict[str, Any]]]:
    store = Store(folder)
    tables = {name: store.parts.read(name).to_pylist() for name in ("sources", "census", "models", "failures")}
    assert store.warnings == ()
    return {name: sorted(found, key=repr) for name, found in tables.items()}


def check(folder: Path, acknowledged: list[str]) -> None:
    store = Store(folder)
    seeds = {seed for name in acknowledged for seed in PROMISES.get(name, (set(), set()))[0]}
    assert store.contents([f"source {seed}" for seed in seeds]).keys() == {f"source {seed}" for seed in seeds}
    for seed in (1, 2, 3, 4):
        found = store.censuses([f"{seed:032x}"])
        assert found in ({}, {f"{seed:032x}": counted(seed).census})
        assert found or seed not in seeds
    models = {model.name: model.tensors for model in store.listing()}
    assert models.items() <= {"a": 2, "b": 2}.items()
    assert models.keys() >= {model for name in acknowledged for model in PROMISES.get(name, (set(), set()))[1]}
    for name, found in contents(folder).items():
        assert len({repr(row) for row in found}) == len(found), name
    assert store.verify() == []


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, list[dict[str, Any]]], int]:
    folder = tmp_path_factory.mktemp("undisturbed") / "store"
    with disturbed(0, nothing) as begun:
        run(folder)
    return contents(folder), len(begun)


def killed_at_every(folder: Path, first: int, stride: int) -> Iterator[tuple[int, Path, list[str]]]:
    for at in range(first, 10_000, stride):
        place = folder / str(at)
        acknowledged, done = in_a_child(lambda say, place=place: run(place, say), at)
        if done:
            return
        yield at, place, acknowledged
        shutil.rmtree(place, ignore_errors=True)


# Every operation in `make test-all`; every third, a different third in each test, in the quick run.
every = pytest.mark.parametrize("stride", [7, pytest.param(1, marks=pytest.mark.slow)])


@every
def test_killed_at_any_operation_a_store_keeps_every_acknowledged_row_and_resumes_to_the_same(
    tmp_path: Path, undisturbed: tuple[dict[str, list[dict[str, Any]]], int], stride: int
) -> None:
    expected, operations = undisturbed
    tried = []
    for at, place, acknowledged in killed_at_every(tmp_path, 1, stride):
        check(place, acknowledged)
        with disturbed(0, nothing):
            run(place)
        assert contents(place) == expected
        left = [path.name for path in place.rglob("*") if path.name.endswith(".tmp")]
        assert left == []  # the compaction at the end cleared what the dead process left
        assert len(list((place / "parts").iterdir())) == len(list((place / "ledger").iterdir()))
        tried.append(at)
    assert tried == list(range(1, operations + 1, stride))


def killed_again(place: Path, scratch: Path, at: int, expected: dict[str, list[dict[str, Any]]]) -> bool:
    """One more kill, during recovery; whether the run got through before it came."""
    if place.exists():  # killed before the folder was made
        shutil.copytree(place, scratch)
    acknowledged, done = in_a_child(lambda say: run(scratch, say), at)
    check(scratch, acknowledged)
    with disturbed(0, nothing):
        run(scratch)
    assert contents(scratch) == expected
    shutil.rmtree(scratch)
    return done


@pytest.mark.parametrize(("first", "stride", "again"), [(4, 83, 29), pytest.param(1, 11, 5, marks=pytest.mark.slow)])
def test_killed_again_while_it_recovers_a_store_still_loses_nothing(
    tmp_path: Path, undisturbed: tuple[dict[str, list[dict[str, Any]]], int], first: int, stride: int, again: int
) -> None:
    for at, place, acknowledged in killed_at_every(tmp_path, first, stride):
        check(place, acknowledged)
        for second in range(1 + at % again, 10_000, again):
            if killed_again(place, tmp_path / "again", second, undisturbed[0]):
                break


@every
@pytest.mark.parametrize("forever", [False, True])
def test_a_full_disk_at_any_operation_is_an_error_that_leaves_the_store_whole(
    tmp_path: Path, undisturbed: tuple[dict[str, list[dict[str, Any]]], int], forever: bool, stride: int
) -> None:
    expected, operations = undisturbed
    for at in range(2 + forever if stride > 1 else 1, operations + 1, stride):
        place = tmp_path / str(at)
        acknowledged: list[str] = []
        with disturbed(at, full, forever) as begun:
            error = refused(lambda place=place, acknowledged=acknowledged: run(place, acknowledged.append))
        # Only giving back the lock of a compaction, an unlink, may fail without a word: all its work is done.
        assert (error is not None and error.exit == 6) or begun[at - 1] == "unlink"
        assert error is None or ("bytes free" in error.line and str(place) in error.line)
        check(place, acknowledged)
        with disturbed(0, nothing):
            run(place)
        assert contents(place) == expected
        shutil.rmtree(place)


@pytest.mark.parametrize("code", [errno.EIO, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.EACCES])
def test_what_the_system_refuses_is_named_with_the_path_and_the_room_left(tmp_path: Path, code: int) -> None:
    with disturbed(1, refusing(code), forever=True), pytest.raises(StorageError) as caught:
        Store(tmp_path / "store").record([counted(1)])
    assert caught.value.exit == 6
    assert os.strerror(code) in caught.value.line
    assert "bytes free" in caught.value.line
    assert str(tmp_path / "store") in caught.value.line


def test_a_part_is_synced_before_it_has_its_name_and_its_entry_comes_after(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    store.record([counted(9)])  # the folders are there from now on
    with disturbed(0, nothing) as begun:
        store.record_failures([Failure("c", None, "format", "cut")])
    assert begun == ["create", "write", "fsync", "rename", "fsync"] * 2


def test_a_removal_that_is_killed_can_be_taken_up_again(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    with disturbed(0, nothing):
        run(whole)
    for at in range(1, 10_000):
        place = tmp_path / "store"
        shutil.copytree(whole, place)
        with disturbed(at, full, forever=True) as begun:
            try:
                Store(place).remove("a")
                done = len(begun) < at
            except StorageError:
                done = False
        with disturbed(0, nothing):
            names = {model.name for model in Store(place).listing()}
            assert names in ({"a", "b"}, {"b"})
            if "a" in names:
                Store(place).remove("a")
            Store(place).compact()
        left = contents(place)
        assert [row["content"] for row in left["census"]] == [f"{seed:032x}" for seed in (2, 3, 4)]
        assert {row["content"] for row in left["sources"]} == {f"{seed:032x}" for seed in (2, 3, 4)}
        shutil.rmtree(place)
        if done:
            break


def test_a_disk_that_really_fills_up_leaves_what_was_there_intact(tmp_path: Path) -> None:
    mounted = tmp_path / "small"
    mounted.mkdir()
    if os.geteuid() != 0 or os.system(f"mount -t tmpfs -o size=96k tmpfs {mounted} 2>/dev/null") != 0:
        pytest.skip("a tmpfs can be mounted by root only")
    try:
        store = Store(mounted / "store")
        kept: list[int] = []
        error = None
        while error is None:
            seed = len(kept) + 1
            error = refused(lambda seed=seed: store.record([counted(seed)]))
            kept += [] if error else [seed]
        assert error.exit == 6
        assert "No space left on device" in error.line
        found = Store(store.path).censuses([f"{seed:032x}" for seed in kept])
        assert len(kept) > 3
        assert found == {f"{seed:032x}": counted(seed).census for seed in kept}
        assert Store(store.path).verify() == []
        assert [path.name for path in mounted.rglob("*.tmp")] == []
    finally:
        os.system(f"umount {mounted}")
