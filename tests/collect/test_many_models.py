"""Models of one base in one pass: what pairwise passes give, row by row, and what numpy gives."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from itertools import combinations, islice
from pathlib import Path

import numpy as np
import pytest

from kaibo.collect import Options
from kaibo.collect.differences import Together, take_difference, take_differences
from kaibo.collect.lanes import MOST_COUNTED
from kaibo.errors import FormatError, StoppedError
from kaibo.models import open_model
from kaibo.models.pairing import pair_models
from kaibo.store import Store
from kaibo.testing import tiny_model
from kaibo.vocabulary import Model, sums, widen

DTYPES = {"base": "BF16", "one": "BF16", "two": "F16", "three": "F32"}
Floats = np.ndarray


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    for seed, (name, dtype) in enumerate(DTYPES.items()):
        tiny_model(folder / name, seed=seed, dtype=dtype, shards=1 + seed, layers=1)
    return folder


def together(base: Model, tuned: list[Model], store: Path, **options: object) -> Together:
    pairings = [(model, pair_models(base, model)) for model in tuned]
    return take_differences(base, pairings, Store(store), Options(**options))  # type: ignore[arg-type]


def opened(folder: Path, *names: str) -> list[Model]:
    return [open_model(folder / name) for name in names]


def values(model: Model) -> dict[str, Floats]:
    found = {}
    for tensor in model.tensors:
        chunks = [chunk.copy() for chunk in tensor.chunks(np.empty(1 << 16, np.uint8))]
        found[tensor.canonical] = widen(tensor.dtype.name, np.concatenate(chunks))
    return found


def test_one_pass_gives_what_pairwise_passes_give_row_by_row(models: Path, tmp_path: Path) -> None:
    base, *tuned = opened(models, *DTYPES)
    found = together(base, tuned, tmp_path / "all")
    for one, model in zip(found.compared, tuned, strict=True):
        alone = take_difference(base, model, pair_models(base, model), Store(tmp_path / model.name))
        assert one.rows == alone.rows
        assert (one.measured, one.known, one.bytes) == (alone.measured, alone.known, alone.bytes)
    rows = iter(found.crosses)
    for a, b in combinations(tuned, 2):
        alone = take_difference(a, b, pair_models(a, b), Store(tmp_path / f"{a.name}-{b.name}"))
        assert [row.direct for row in islice(rows, len(alone.rows))] == list(alone.rows)
        two = together(base, [b, a], tmp_path / f"{b.name}-{a.name}")
        both = {row.tensor: row.crossed for row in two.crosses}
        assert all(
            both[row.tensor].turned == row.crossed for row in found.crosses if (row.a, row.b) == (a.address, b.address)
        )


def test_every_number_of_two_task_vectors_is_that_of_numpy(models: Path, tmp_path: Path) -> None:
    base, *tuned = opened(models, *DTYPES)
    found = together(base, tuned, tmp_path / "s")
    stored = {model.address: values(model) for model in (base, *tuned)}

    def vector(model: str, name: str) -> Floats:
        return (stored[model][name].astype("f4") - stored[base.address][name].astype("f4")).astype(float)

    for row in found.crosses:
        a, b = vector(row.a, row.tensor), vector(row.b, row.tensor)
        direct = (stored[row.b][row.tensor].astype("f4") - stored[row.a][row.tensor].astype("f4")).astype(float)
        sizes = np.abs(a) @ np.abs(b)
        assert row.crossed.dot == pytest.approx(a @ b, rel=1e-12, abs=1e-13 * sizes)
        assert row.crossed.a_square == pytest.approx(a @ a, rel=1e-12)
        assert row.crossed.b_square == pytest.approx(b @ b, rel=1e-12)
        assert (row.crossed.same_sign, row.crossed.opposite) == ((a * b > 0).sum(), (a * b < 0).sum())
        assert row.crossed.absolute == pytest.approx(np.abs(direct).sum(), rel=1e-12)
        assert row.crossed.square == pytest.approx(direct @ direct, rel=1e-12)
        assert row.direct is not None
        assert row.direct.difference.census is not None
        assert sums([row.direct.difference.census]).square == pytest.approx(direct @ direct, rel=1e-12)
    for signs in found.signs:
        vectors = np.stack([vector(model.address, signs.tensor) for model in tuned])
        above, below = (vectors > 0).any(axis=0), (vectors < 0).any(axis=0)
        counts = signs.signs.n, signs.signs.moved, signs.signs.conflicting
        assert counts == (vectors.shape[1], (above | below).sum(), (above & below).sum())


@pytest.mark.parametrize("workers", [2, 7])
def test_any_number_of_workers_and_a_second_look_give_the_same_rows(models: Path, tmp_path: Path, workers: int) -> None:
    base, *tuned = opened(models, *DTYPES)
    one = together(base, tuned, tmp_path / "one")
    many = together(base, tuned, tmp_path / "many", workers=workers)
    again = together(base, tuned, tmp_path / "many")
    assert again.bytes == 0
    for other in (many, again):
        assert (other.crosses, other.signs) == (one.crosses, one.signs)
        assert [part.rows for part in other.compared] == [part.rows for part in one.compared]


def test_a_tensor_is_read_once_and_only_where_a_number_is_missing(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kaibo.models.formats import StoredTensor

    read: list[tuple[str, str]] = []
    chunks = StoredTensor.chunks

    def noted(tensor: StoredTensor, *arguments: object, **named: object) -> object:
        read.append((tensor.file, tensor.name))
        return chunks(tensor, *arguments, **named)  # type: ignore[arg-type]

    base, *tuned = opened(models, *DTYPES)
    one, two, three = ((model, pair_models(base, model)) for model in tuned)  # pairing looks at some rows of tables
    monkeypatch.setattr(StoredTensor, "chunks", noted)
    take_differences(base, [one, two], Store(tmp_path / "s"))
    assert sorted(read) == sorted(set(read))
    assert len(read) == 3 * len(base.tensors)
    read.clear()
    take_differences(base, [one, two], Store(tmp_path / "s"))
    assert not read
    take_differences(base, [one, two, three], Store(tmp_path / "s"))  # the third needs all of them, once
    assert sorted(read) == sorted(set(read))
    assert len(read) == 4 * len(base.tensors)


def test_beyond_ten_pairs_there_are_sums_and_no_censuses(models: Path, tmp_path: Path) -> None:
    for copy in range(5):
        tiny_model(tmp_path / f"m{copy}", seed=10 + copy, layers=1)
    base, one = opened(models, "base", "one")
    others = opened(tmp_path, *(f"m{copy}" for copy in range(5)))
    assert len(list(combinations([one, *others], 2))) > MOST_COUNTED
    many = together(base, [one, *others], tmp_path / "many")
    few = together(base, [one, others[0]], tmp_path / "few")
    assert all(row.direct is None for row in many.crosses)
    first = [row for row in many.crosses if (row.a, row.b) == (one.address, others[0].address)]
    assert [row.crossed for row in first] == [row.crossed for row in few.crosses]


def test_equal_tensors_follow_from_censuses_whether_read_or_looked_up(models: Path, tmp_path: Path) -> None:
    shutil.copytree(models / "base", tmp_path / "still")
    shutil.copytree(models / "one", tmp_path / "again")
    base, one = opened(models, "base", "one")
    tuned = [*opened(tmp_path, "still", "again"), one]
    found = together(base, tuned, tmp_path / "s")
    again = together(base, tuned, tmp_path / "s")
    assert (again.bytes, again.crosses, again.signs) == (0, found.crosses, found.signs)
    for row in found.crosses:
        still, equal = row.a == tuned[0].address, row.a == tuned[1].address
        assert row.crossed.dot == (0 if still else row.crossed.a_square)
        assert (row.crossed.square == 0) == equal
        assert row.crossed.opposite == 0
    assert all(row.signs.conflicting == 0 for row in found.signs)
    moved = [row.joint.changed for row in found.compared[2].rows]
    assert [row.signs.moved for row in found.signs] == moved


@pytest.mark.parametrize("after", [1, 4, 11])
def test_a_pass_goes_on_where_a_signal_stopped_it(models: Path, tmp_path: Path, after: int) -> None:
    base, *tuned = opened(models, *DTYPES)
    with pytest.raises(StoppedError) as stopped:
        together(base, tuned, tmp_path / "s", workers=2, progress=Then(after, lambda: os.kill(os.getpid(), 15)))
    assert stopped.value.exit == 128 + signal.SIGTERM
    resumed = together(base, tuned, tmp_path / "s")
    assert [(one.known, one.measured) for one in resumed.compared] == [(after, 12 - after)] * 3
    whole = together(base, tuned, tmp_path / "whole")
    assert (resumed.crosses, resumed.signs) == (whole.crosses, whole.signs)


class Then:
    """A progress that does something once so many advances were told."""

    def __init__(self, after: int, what: Callable[[], None]) -> None:
        self.left, self.what = after, what

    def begin(self, label: str, total: int) -> None:
        pass

    def advance(self, done: int) -> None:
        self.left -= 1
        if self.left == 0:
            self.what()


def test_a_model_that_cannot_be_read_ends_nothing_of_the_others(models: Path, tmp_path: Path) -> None:
    shutil.copytree(models / "two", tmp_path / "broken")
    base, one, three = opened(models, "base", "one", "three")
    (broken,) = opened(tmp_path, "broken")
    shard = sorted((tmp_path / "broken").glob("*.safetensors"))[0]
    shard.write_bytes(shard.read_bytes()[:-1])
    found = together(base, [one, broken, three], tmp_path / "s")
    alone = together(base, [one, three], tmp_path / "alone")
    assert [found.compared[0].rows, found.compared[2].rows] == [part.rows for part in alone.compared]
    assert not found.compared[0].failures
    assert 0 < len(found.compared[1].rows) < len(base.tensors)
    assert all("changed while reading" in failure.message for failure in found.compared[1].failures)
    assert [row for row in found.crosses if row.b == three.address and row.a == one.address] == list(alone.crosses)


def test_bytes_that_changed_although_the_file_says_they_did_not_are_an_error(models: Path, tmp_path: Path) -> None:
    shutil.copytree(models / "one", tmp_path / "one")
    base, (tuned,) = open_model(models / "base"), opened(tmp_path, "one")
    together(base, [tuned], tmp_path / "s")
    shard = sorted((tmp_path / "one").glob("*.safetensors"))[0]
    status, content = shard.stat(), bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.write_bytes(content)
    os.utime(shard, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert together(base, [tuned], tmp_path / "s").bytes == 0
    with pytest.raises(FormatError, match="check the disk"):
        together(base, [tuned], tmp_path / "s", verify=True)
