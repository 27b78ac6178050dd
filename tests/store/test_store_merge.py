"""Stores brought together: the same bytes whatever the split, the order, the interruptions; no row lost or doubled."""

from __future__ import annotations

import errno
import itertools
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from faults import disturbed, everything, full, in_a_child, refused, refusing
from kaibo.errors import MissingError, StorageError
from kaibo.store import Counted, Failure, Store, disk, merging, ordering
from kaibo.store.locks import alone
from kaibo.vocabulary import Census, Row

NONE = np.zeros(0, np.uint64)


@pytest.fixture(autouse=True)
def _nothing_outlives_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "fsync", lambda _: None)


def counted(seed: int, bins: int = 5) -> Counted:
    counts = np.arange(seed + 1, seed + 1 + bins, dtype=np.uint64)
    census = Census("BF16", np.arange(bins, dtype=np.uint32), counts, NONE, NONE.reshape(0, 2), 0.0, -float(seed))
    return Counted(f"source {seed}", f"{seed:032x}", census)


def stored(folder: Path, *calls: list[int]) -> Store:
    """A store with a part for each call."""
    store = Store(folder)
    for seeds in calls:
        store.record([counted(seed) for seed in seeds])
        store.record_failures([Failure("m", None if seed % 2 else "w", "format", f"cut {seed}") for seed in seeds])
    return store


def bytes_of(folder: Path) -> dict[str, bytes]:
    """Every file of a store, by its place."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def merged(into: Path, *sources: Store) -> dict[str, bytes]:
    _, damaged = Store(into).merge(sources)
    assert damaged == []
    return bytes_of(into)


def test_a_merge_has_the_same_bytes_whatever_the_split_and_the_order(tmp_path: Path) -> None:
    whole = merged(tmp_path / "whole", stored(tmp_path / "serial", [*range(12)]))
    parts = [
        stored(tmp_path / "a", [3, 1], [0]),
        stored(tmp_path / "b", [11, 2], [5, 4, 6], [10]),
        stored(tmp_path / "c", [7], [9, 8], [3, 4]),  # some of it was done twice
    ]
    for number, order in enumerate(itertools.permutations(parts)):
        assert merged(tmp_path / f"into {number}", *order) == whole
    step_by_step = tmp_path / "steps"
    for one in parts:
        merged(step_by_step, one)
    assert bytes_of(step_by_step) == whole
    assert merged(step_by_step, *parts) == whole  # all of it once more
    assert merged(tmp_path / "again", Store(step_by_step)) == whole
    assert everything(tmp_path / "serial") == everything(step_by_step)


def test_what_a_merged_store_answers_is_what_its_sources_did(tmp_path: Path) -> None:
    one, other = stored(tmp_path / "a", [1, 2]), stored(tmp_path / "b", [3])
    done, _ = Store(tmp_path / "c").merge([one, other])
    assert (done.stores, done.parts_before, done.parts_after, done.rows, done.repeated) == (2, 6, 3, 9, 0)
    fresh = Store(tmp_path / "c")
    assert fresh.censuses([f"{seed:032x}" for seed in (1, 2, 3)]) == {
        f"{seed:032x}": counted(seed).census for seed in (1, 2, 3)
    }
    assert fresh.verify() == []
    assert fresh.abandoned() == []


def test_parts_end_where_the_rows_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merging, "FULL", 1500)
    whole = merged(tmp_path / "whole", stored(tmp_path / "serial", [*range(40)]))
    assert sum(name.startswith("parts/census") for name in whole) > 2
    one, other = (stored(tmp_path / name, [*seeds]) for name, seeds in (("a", range(0, 40, 2)), ("b", range(1, 40, 2))))
    assert merged(tmp_path / "c", one, other) == whole
    assert merged(tmp_path / "d", other, one) == whole


def test_more_rows_than_fit_in_memory_give_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = [stored(tmp_path / str(n), *([seed, seed + 1] for seed in range(n, 40, 3))) for n in range(3)]
    for one in parts:
        for step in range(3):
            one.record_model("m", f"family {step}", [Row("m", "id", "w", None, "other", "BF16", (1,), "00", None)])
    whole = merged(tmp_path / "whole", *parts)
    monkeypatch.setattr(ordering, "MEMORY", 1000)
    monkeypatch.setattr(ordering, "RUN", 300)
    assert merged(tmp_path / "runs", *parts) == whole
    assert merged(tmp_path / "runs backwards", *reversed(parts)) == whole


def test_where_the_newest_stands_the_order_of_stores_decides_nothing(tmp_path: Path) -> None:
    def said(folder: Path, *families: str) -> Store:
        store = Store(folder)
        for family in families:
            store.record_model("m", family, [Row("m", "id", "w", None, "other", "BF16", (1,), "00", None)])
        return store

    one, other = said(tmp_path / "a", "zebra", "beetle"), said(tmp_path / "b", "ant")
    forth, back = merged(tmp_path / "c", one, other), merged(tmp_path / "d", other, one)
    assert forth == back
    assert Store(tmp_path / "c").parts.read("models")["family"].to_pylist() == ["beetle"]  # zebra was taken back


def test_two_different_censuses_of_one_content_are_shown_and_nothing_is_written(tmp_path: Path) -> None:
    one, other = stored(tmp_path / "a", [1]), Store(tmp_path / "b")
    wrong = counted(2).census
    other.record([Counted("source 1", f"{1:032x}", wrong)])
    for sources in ([one, other], [other, one]):
        with pytest.raises(StorageError, match=r"two different rows of the table census .* counts\[0\]") as caught:
            Store(tmp_path / "c").merge(sources)
        assert str(one.path) in caught.value.line
        assert str(other.path) in caught.value.line
    assert everything(tmp_path / "c")["census"] == []
    assert not (tmp_path / "c" / "merging").exists()


def test_a_damaged_part_is_named_and_the_rest_comes_together(tmp_path: Path) -> None:
    one, other = stored(tmp_path / "a", [1], [2]), stored(tmp_path / "b", [3])
    part = next(one.parts.parts.glob("census-*"))
    flipped = bytearray(part.read_bytes())
    flipped[len(flipped) // 2] ^= 1
    part.write_bytes(flipped)
    _, damaged = Store(tmp_path / "c").merge([one, other])
    assert [damage.file for damage in damaged] == [str(one.path / part.name)]
    assert Store(tmp_path / "c").parts.read("census").num_rows == 2


def test_what_is_no_store_or_another_versions_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = stored(tmp_path / "a", [1])
    into = Store(tmp_path / "c")
    with pytest.raises(MissingError, match="is not there"):
        into.merge([one, Store(tmp_path / "nowhere")])
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "letter.txt").write_text("dear")
    with pytest.raises(MissingError, match="is no store"):
        into.merge([Store(tmp_path / "other")])
    with pytest.raises(StorageError, match=r"holds other things than a store \(letter.txt\)"):
        Store(tmp_path / "other").merge([one])
    entry = one.parts.entries("census")[0]
    monkeypatch.setattr(type(entry), "schema", 7, raising=False)
    object.__setattr__(entry, "schema", 7)
    with pytest.raises(StorageError, match="the table census in version 7") as caught:
        into.merge([one])
    assert caught.value.exit == 6
    assert not (tmp_path / "c").exists()


def test_a_merge_waits_for_another_and_is_refused_while_a_compaction_runs(tmp_path: Path) -> None:
    one = stored(tmp_path / "a", [1])
    into = stored(tmp_path / "c", [2])
    with alone(into.path / "locks"), pytest.raises(StorageError, match="is being compacted by process"):
        into.merge([one])
    script = "import sys; from kaibo.store import Store; Store(sys.argv[1]).merge([Store(p) for p in sys.argv[2:]])"
    parts = [stored(tmp_path / str(n), *([seed] for seed in range(n, 60, 4))) for n in range(4)]
    pairs = ([parts[0], parts[1]], [parts[2], parts[3], parts[1]])
    running = [
        subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "d"), *(str(one.path) for one in pair)])
        for pair in pairs
    ]
    assert [process.wait() for process in running] == [0, 0]
    assert bytes_of(tmp_path / "d") == merged(tmp_path / "e", *parts)


def _sources(tmp_path: Path) -> tuple[list[Store], Path]:
    """Two stores to merge into a third that holds something already."""
    parts = [stored(tmp_path / "a", [1, 2], [3]), stored(tmp_path / "b", [4], [2, 5])]
    stored(tmp_path / "held", [6], [1])
    return parts, tmp_path / "held"


EVERY = [pytest.param(1, marks=pytest.mark.slow), 7]
"""Every operation of a merge is a fault point, in `make test` every seventh."""


@pytest.mark.parametrize("stride", EVERY)
def test_a_merge_killed_at_any_point_and_run_again_ends_with_the_same_bytes(tmp_path: Path, stride: int) -> None:
    parts, held = _sources(tmp_path)
    shutil.copytree(held, tmp_path / "expected")
    expected = merged(tmp_path / "expected", *parts)
    before = set(everything(held)["census"])
    for at in itertools.count(1, stride):
        into = tmp_path / f"killed {at}"
        shutil.copytree(held, into)
        _, through = in_a_child(lambda _, into=into: Store(into).merge(parts), at)  # type: ignore[misc]
        assert before <= set(everything(into)["census"])  # what was there is there at every moment
        assert merged(into, *parts) == expected
        shutil.rmtree(into)
        if through:
            break
    assert at > 20


@pytest.mark.parametrize("trouble", [full, refusing(errno.EIO)])
@pytest.mark.parametrize("forever", [False, True])
@pytest.mark.parametrize("stride", EVERY)
def test_a_disk_that_fails_loses_nothing_of_what_was_there(
    tmp_path: Path, trouble: Callable[[str], None], forever: bool, stride: int
) -> None:
    parts, held = _sources(tmp_path)
    shutil.copytree(held, tmp_path / "expected")
    expected = merged(tmp_path / "expected", *parts)
    before = everything(held)
    for at in itertools.count(1, stride):
        into = tmp_path / f"refused {at}"
        shutil.copytree(held, into)
        with disturbed(at, trouble, forever) as begun:
            error = refused(lambda into=into: Store(into).merge(parts))  # type: ignore[misc]
        assert error is None or error.exit == 6
        assert all(set(rows) <= set(everything(into)[name]) for name, rows in before.items())
        assert merged(into, *parts) == expected
        shutil.rmtree(into)
        if len(begun) < at:
            break
    assert error is None
