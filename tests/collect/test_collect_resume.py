"""What a census keeps, what it reads again, and that no way of getting there changes a bit of the result."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from kaibo.collect import Collected, Options, take_census, take_identity
from kaibo.errors import FormatError, StoppedError
from kaibo.models import open_model
from kaibo.store import Store
from kaibo.testing import tiny_model, write_safetensors


class _Then:
    """A progress that does something once so many advances were told."""

    def __init__(self, after: int, what: Callable[[], None]) -> None:
        self.left, self.what = after, what
        self.totals: list[int] = []

    def begin(self, label: str, total: int) -> None:
        self.totals.append(total)

    def advance(self, done: int) -> None:
        self.left -= 1
        if self.left == 0:
            self.what()


def _take(folder: Path, store: Path, **options: object) -> Collected:
    return take_census(open_model(str(folder)), Store(store), Options(**options))  # type: ignore[arg-type]


def _same(one: Collected, other: Collected) -> None:
    assert one.model_id == other.model_id
    assert [(row.tensor, row.content) for row in one.rows] == [(row.tensor, row.content) for row in other.rows]
    assert all(a.census == b.census for a, b in zip(one.rows, other.rows, strict=True))


@pytest.mark.parametrize("dtype", ["BF16", "F32", "F64", "F16"])
def test_any_number_of_workers_gives_the_same_censuses(tmp_path: Path, dtype: str) -> None:
    tiny_model(tmp_path / "m", dtype=dtype)
    one, two, seven = (_take(tmp_path / "m", tmp_path / f"s{n}", workers=n) for n in (1, 2, 7))
    _same(one, two)
    _same(one, seven)


@pytest.mark.parametrize("dtype", ["BF16", "F32"])
def test_one_file_and_many_shards_are_the_same_model_to_the_last_bit(tmp_path: Path, dtype: str) -> None:
    whole, sharded, unlisted = (
        _take(tiny_model(tmp_path / str(n), dtype=dtype, shards=shards), tmp_path / f"s{n}")
        for n, shards in enumerate((1, 3, 5))
    )
    _same(whole, sharded)
    _same(whole, unlisted)


def test_the_order_of_tensors_in_a_file_is_no_part_of_a_model(tmp_path: Path) -> None:
    tensors = {name: ("F32", [3], np.arange(3, dtype="<f4") + place) for place, name in enumerate("abc")}
    write_safetensors(tmp_path / "a.safetensors", tensors)
    write_safetensors(tmp_path / "b.safetensors", dict(reversed(tensors.items())), {"note": "another header"})
    _same(*(_take(tmp_path / f"{name}.safetensors", tmp_path / name) for name in "ab"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("after", [1, 5, 20])
def test_a_census_goes_on_where_a_signal_stopped_it(tmp_path: Path, number: signal.Signals, after: int) -> None:
    tiny_model(tmp_path / "m")
    progress = _Then(after, lambda: os.kill(os.getpid(), number))
    with pytest.raises(StoppedError) as stopped:
        _take(tmp_path / "m", tmp_path / "s", workers=2, progress=progress)
    assert stopped.value.exit == 128 + number
    assert stopped.value.next is not None
    resumed = _take(tmp_path / "m", tmp_path / "s")
    assert resumed.known == after
    assert resumed.measured == 21 - after
    _same(resumed, _take(tmp_path / "m", tmp_path / "other"))


def test_whatever_ends_a_census_what_was_finished_is_kept(tmp_path: Path) -> None:
    def fail() -> None:
        raise RuntimeError("something else broke")

    tiny_model(tmp_path / "m")
    with pytest.raises(RuntimeError):
        _take(tmp_path / "m", tmp_path / "s", progress=_Then(8, fail))
    assert _take(tmp_path / "m", tmp_path / "s").known == 7


def test_the_handlers_of_signals_are_put_back(tmp_path: Path) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    _take(tiny_model(tmp_path / "m"), tmp_path / "s")
    assert before == [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]


def test_a_known_model_is_not_read_and_verify_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny_model(tmp_path / "m")
    first = _take(tmp_path / "m", tmp_path / "s")
    again = _take(tmp_path / "m", tmp_path / "s", verify=True)
    assert (again.measured, again.bytes) == (first.measured, first.bytes)
    _same(first, again)
    monkeypatch.setattr("kaibo.collect.engine.count_span", lambda *_: pytest.fail("a known tensor was read"))
    second = _take(tmp_path / "m", tmp_path / "s")
    assert (second.measured, second.known, second.bytes) == (0, 21, 0)
    _same(first, second)


def test_a_model_is_identified_without_a_census_and_counted_when_that_is_asked_for(tmp_path: Path) -> None:
    model, store = open_model(str(tiny_model(tmp_path / "m"))), Store(tmp_path / "s")
    named = take_identity(model, store)
    assert store.censuses(list(store.contents([tensor.source_key for tensor in model.tensors]).values())) == {}
    assert [one.model_id for one in store.listing()] == [named]
    assert take_census(model, store, Options(identify=True)).measured == 0
    counted = _take(tmp_path / "m", tmp_path / "s")
    assert (counted.model_id, counted.measured) == (named, 21)
    _same(counted, _take(tmp_path / "m", tmp_path / "other"))


def test_a_copy_is_read_once_more_and_is_the_same_model(tmp_path: Path) -> None:
    first = _take(tiny_model(tmp_path / "a"), tmp_path / "s")
    second = _take(tiny_model(tmp_path / "b"), tmp_path / "s")
    assert second.measured == 21
    _same(first, second)


def test_weights_that_were_written_to_are_read_again(tmp_path: Path) -> None:
    tiny_model(tmp_path / "m")
    first = _take(tmp_path / "m", tmp_path / "s")
    tiny_model(tmp_path / "m", seed=1)
    second = _take(tmp_path / "m", tmp_path / "s")
    assert (second.measured, second.known) == (21, 0)
    assert first.model_id != second.model_id


def test_verify_finds_bytes_that_changed_although_the_file_says_they_did_not(tmp_path: Path) -> None:
    tiny_model(tmp_path / "m")
    _take(tmp_path / "m", tmp_path / "s")
    file = tmp_path / "m" / "model.safetensors"
    status, content = file.stat(), bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert _take(tmp_path / "m", tmp_path / "s").measured == 0
    with pytest.raises(FormatError, match="check the disk"):
        _take(tmp_path / "m", tmp_path / "s", verify=True)


@pytest.mark.parametrize("how", ["cut", "rewritten", "replaced", "removed"])
def test_a_shard_that_changes_between_header_and_reading_is_an_error_and_the_others_stay(
    tmp_path: Path, how: str
) -> None:
    folder = tiny_model(tmp_path / "m", shards=3)
    model = open_model(str(folder))
    shard = folder / "model-00002-of-00003.safetensors"
    content = shard.read_bytes()
    if how == "cut":
        os.truncate(shard, len(content) - 100)
    elif how == "rewritten":
        shard.write_bytes(content)
        os.utime(shard, ns=(1, 1))
    elif how == "replaced":
        (tmp_path / "new").write_bytes(content)
        os.replace(tmp_path / "new", shard)
    else:
        shard.unlink()
    taken = take_census(model, Store(tmp_path / "s"), Options(workers=2))
    lost = {failure.tensor for failure in taken.failures}
    assert all(isinstance(failure, FormatError) for failure in taken.failures)
    assert all(str(failure.file).endswith(shard.name) for failure in taken.failures)
    assert all("changed while reading" in failure.message for failure in taken.failures)
    assert None not in lost
    assert taken.measured == len(taken.rows) == 21 - len(lost)
    assert 0 < len(lost) < 21
    tiny_model(folder, shards=3)
    assert Store(tmp_path / "s").sql("SELECT count(*) FROM failures").column(0)[0].as_py() == len(lost)


def test_fail_fast_ends_at_the_first_tensor(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "m")
    model = open_model(str(folder))
    os.truncate(folder / "model.safetensors", 3000)
    taken = take_census(model, Store(tmp_path / "s"), Options(fail_fast=True))
    assert len(taken.failures) == 1
