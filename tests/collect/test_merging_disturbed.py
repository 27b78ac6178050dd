"""A merge that is killed, stopped, or meets a full disk at any operation: resumed, it gives the same bytes."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kaibo
from kaibo.chapters.merge.ask import Writing
from kaibo.collect.files.outputs import MANIFEST
from kaibo.errors import FormatError, KaiboError, StorageError, UsageError
from kaibo.models import open_model
from kaibo.models.derived.merge_kernels import trim
from kaibo.models.formed import formed
from kaibo.store import disk
from kaibo.testing import tiny_model
from kaibo.vocabulary import Buffer, Model, Patterns, Tensor
from kaibo.vocabulary.merging import WHOLE, Recipe, Trim

OPERATIONS = ("create", "write", "write_at", "fsync", "rename", "unlink", "fsync_folder")
SLOW = pytest.mark.slow
RECIPE = Recipe(densities=(0.5,))


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three little models in bf16, and their measurements in a store."""
    folder = tmp_path_factory.mktemp("models")
    for seed, name in enumerate("abc"):
        tiny_model(folder / name, seed=seed, layers=1, hidden=8, heads=2, vocabulary=16)
    (folder / "a" / "tokenizer.json").write_text("{}")
    kaibo.merge(folder / "a", [folder / "b", folder / "c"], recipe=RECIPE, settings=options(folder))
    return folder


def options(models: Path, workers: int = 1) -> kaibo.Settings:
    return kaibo.Settings(store=models / "store", workers=workers)


def run(models: Path, out: Path, workers: int = 1, **writing: Any) -> None:
    chosen = Writing(out, **{"shard_bytes": 1000, **writing})
    settings = options(models, workers)
    kaibo.merge(models / "a", [models / "b", models / "c"], recipe=RECIPE, writing=chosen, settings=settings)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def undisturbed(models: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    out = tmp_path_factory.mktemp("whole") / "out"
    run(models, out)
    found = contents(out)
    assert len([name for name in found if name.endswith(".safetensors")]) == 3
    assert {MANIFEST, "config.json", "tokenizer.json", "model.safetensors.index.json"} <= found.keys()
    return found


@contextmanager
def disturbed(at: int, trouble: Callable[[], None]) -> Iterator[list[str]]:
    """The `at`-th operation on the output, from 1, meets trouble; a write is then cut in half."""
    begun: list[str] = []
    plain = {name: getattr(disk, name) for name in OPERATIONS}

    def wrapped(name: str) -> Callable[..., Any]:
        def operation(*given: Any) -> Any:
            begun.append(name)
            if len(begun) == at:
                if name.startswith("write"):
                    plain[name](given[0], memoryview(given[1])[: len(given[1]) // 2], *given[2:])
                trouble()
            return None if name.startswith("fsync") else plain[name](*given)

        return operation

    for name in OPERATIONS:
        setattr(disk, name, wrapped(name))
    try:
        yield begun
    finally:
        for name, operation in plain.items():
            setattr(disk, name, operation)


def count(models: Path, folder: Path) -> int:
    with disturbed(0, lambda: None) as begun:
        run(models, folder / "counted")
    return len(begun)


def killed(work: Callable[[], object], at: int) -> bool:
    """Runs the work in a child that dies at the `at`-th operation; whether it came so far."""
    child = os.fork()
    if child == 0:
        try:
            with disturbed(at, lambda: os.kill(os.getpid(), signal.SIGKILL)):
                work()
            os._exit(0)
        finally:
            os._exit(9)
    status = os.waitpid(child, 0)[1]
    assert status in (0, signal.SIGKILL), status
    return status != 0


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize(
    ("again", "step"), [(False, 7), (True, 11), *(pytest.param(again, 1, marks=SLOW) for again in (False, True))]
)
def test_killed_at_any_operation_a_merge_is_taken_up_to_the_same_bytes(
    again: bool, step: int, models: Path, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    operations = count(models, tmp_path)
    for at in range(1, operations + 1, step):
        out = tmp_path / str(at)
        assert killed(lambda out=out: run(models, out), at)  # type: ignore[misc]
        seen = contents(out) if out.is_dir() else {}
        for name, data in seen.items():  # what has its name is whole
            if not name.startswith("."):
                assert data == undisturbed[name], f"{name} after operation {at}"
        if again:
            killed(lambda out=out: run(models, out), 1 + at % 7)  # type: ignore[misc]
        run(models, out)
        assert contents(out) == undisturbed
        shutil.rmtree(out)


@pytest.mark.parametrize(
    ("problem", "step"), [(errno.ENOSPC, 11), *(pytest.param(problem, 1, marks=SLOW) for problem in (errno.EIO, 28))]
)
def test_a_disk_that_refuses_at_any_operation_is_an_error_and_the_merge_can_go_on(
    problem: int, step: int, models: Path, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    def refuse() -> None:
        raise OSError(problem, os.strerror(problem))

    for at in range(1, count(models, tmp_path) + 1, step):
        out = tmp_path / str(at)
        with disturbed(at, refuse), pytest.raises(StorageError, match="bytes free") as caught:
            run(models, out)
        assert caught.value.exit == 6
        run(models, out)
        assert contents(out) == undisturbed
        shutil.rmtree(out)


def test_the_bytes_are_the_same_for_any_workers_and_a_second_run_writes_nothing(
    models: Path, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    run(models, tmp_path / "out", workers=3)
    assert contents(tmp_path / "out") == undisturbed
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*")}
    with disturbed(0, lambda: None) as begun:
        run(models, tmp_path / "out")
    assert "write_at" not in begun
    after = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*")}
    assert {name for name in before if before[name] != after[name]} <= {MANIFEST}


def test_a_finished_file_that_was_damaged_is_written_again(
    models: Path, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    run(models, out)
    shard = out / "model-00002-of-00003.safetensors"
    data = bytearray(shard.read_bytes())
    data[-1] ^= 1
    shard.write_bytes(bytes(data))
    run(models, out)
    assert contents(out) == undisturbed


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_lets_what_is_finished_stand(
    number: int, models: Path, undisturbed: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, calls = disk.write_at, []

    def stop(*given: Any) -> None:
        calls.append(given)
        if len(calls) == 14:
            os.kill(os.getpid(), number)
        plain(*given)

    monkeypatch.setattr(disk, "write_at", stop)
    with pytest.raises(KaiboError) as caught:
        run(models, tmp_path / "out")
    assert caught.value.exit == 128 + number
    assert not list((tmp_path / "out").glob(".*.part"))
    assert not (tmp_path / "out" / "model.safetensors.index.json").exists()
    run(models, tmp_path / "out")
    assert contents(tmp_path / "out") == undisturbed


def test_what_others_wrote_is_left_alone(models: Path, undisturbed: dict[str, bytes], tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "config.json").write_text("somebody's")
    (out / "notes.txt").write_text("mine")
    with pytest.raises(StorageError, match="was not made by this merge"):
        run(models, out)
    assert contents(out) == {"config.json": b"somebody's", "notes.txt": b"mine"}
    run(models, out, force=True)
    assert contents(out) == {**undisturbed, "notes.txt": b"mine"}
    with pytest.raises(StorageError, match="holds another merge"):
        run(models, out, dtype="float32")
    run(models, out, dtype="float32", force=True, shard_bytes=10**9)
    assert sorted(contents(out)) == [MANIFEST, "config.json", "model.safetensors", "notes.txt", "tokenizer.json"]
    assert json.loads((out / "config.json").read_text())["torch_dtype"] == "float32"
    assert {tensor.dtype.name for tensor in open_model(out).tensors} == {"F32"}


def test_a_disk_that_is_too_small_is_told_before_anything_is_formed(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.statvfs(tmp_path)

    class Small:
        f_bavail, f_frsize = 1, 512

    monkeypatch.setattr(os, "statvfs", lambda path: Small if Path(path) == tmp_path / "out" else real)
    with pytest.raises(StorageError, match="512 are free"):
        run(models, tmp_path / "out")


def test_an_input_that_changes_while_it_is_merged_is_an_error(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(models / "b", tmp_path / "b")
    weights = tmp_path / "b" / "model.safetensors"
    plain, calls = disk.write_at, []

    def cut(*given: Any) -> None:
        calls.append(given)
        if len(calls) == 3:
            os.truncate(weights, weights.stat().st_size - 8)
        plain(*given)

    monkeypatch.setattr(disk, "write_at", cut)
    with pytest.raises(FormatError, match="changed while reading"):
        kaibo.merge(
            models / "a", tmp_path / "b", recipe=RECIPE, writing=Writing(tmp_path / "out"), settings=options(models)
        )
    assert not list((tmp_path / "out").glob("*.safetensors"))


def test_a_merge_cannot_go_into_one_of_its_models(models: Path) -> None:
    with pytest.raises(UsageError, match="one of the models"):
        run(models, models / "b")


@dataclass(frozen=True, eq=False)
class _Trimmed:
    """The float32 values of a tensor that a trim keeps, zero elsewhere."""

    tensor: Tensor
    keep: Trim

    def chunks(self, buffer: Buffer, begin: int = 0, end: int | None = None) -> Iterator[Patterns]:
        at = begin
        for chunk in self.tensor.chunks(buffer, begin, end):
            trim(chunk.view(np.float32), np.float32(self.keep.threshold), self.keep.cutoff - at)
            at += chunk.size
            yield chunk


def _trimmed(vector: Model, keeps: Mapping[str, Trim]) -> Model:
    tensors = [formed(_Trimmed(one, keeps.get(one.canonical, WHOLE)), one) for one in vector.weights]
    return replace(vector, tensors=tuple(tensors))


def test_a_trimmed_task_vector_measures_as_its_census_says(models: Path, tmp_path: Path) -> None:
    from kaibo.chapters.diff.largest import by_size, exactly, largest, needed
    from kaibo.chapters.diff.trimming import quotas, wanted_bins
    from kaibo.collect import take_census
    from kaibo.collect.differences import take_difference
    from kaibo.collect.resolving import resolved_bins
    from kaibo.counting import position_after
    from kaibo.models.derived.difference import difference
    from kaibo.models.pairing import pair_models
    from kaibo.store import Store
    from kaibo.vocabulary import total

    base, tuned = open_model(models / "a"), open_model(models / "b")
    store = Store(tmp_path)
    rows = [row.difference for row in take_difference(base, tuned, pair_models(base, tuned), store).rows]
    vector = difference(tuned, base)
    tensors = {tensor.canonical: tensor for tensor in vector.tensors}
    for ties in ("reference", "exact"):
        recipe = Recipe(ties=ties)  # type: ignore[arg-type]
        contents = {row.content: tensors[row.tensor] for row in rows}
        wanted = wanted_bins(rows, 0.2, recipe)
        for content, uppers in needed(rows, (20,)).items():
            wanted.setdefault(content, set()).update(uppers)
        known = resolved_bins(contents, wanted, store)
        keeps = {
            name: Trim(one.threshold, position_after(tensors[name], one.threshold, one.taken))
            for name, one in quotas(rows, 0.2, recipe, known).items()
        }
        again = take_census(_trimmed(vector, keeps), store)
        censuses = [row.census for row in rows if row.census is not None]
        told = largest(exactly(rows, by_size([total(censuses)]), 20, ties, known), 20, ties)
        seen = by_size([row.census for row in again.rows if row.census is not None])
        nonzero = seen.high > 0
        assert told.kept == told.kept_high == int(seen.counts[nonzero].sum())
        assert told.l1 == pytest.approx(float(seen.l1.sum()), rel=1e-12)
        assert told.l2 == pytest.approx(float(np.sqrt(seen.square.sum())), rel=1e-12)


def test_a_merge_is_a_model_that_measures_as_the_one_that_was_written(models: Path, tmp_path: Path) -> None:
    from kaibo.collect import take_census
    from kaibo.store import Store

    writing = Writing(tmp_path / "out")
    done = kaibo.merge(
        models / "a", [models / "b", models / "c"], recipe=RECIPE, writing=writing, settings=options(models)
    )
    store = Store(tmp_path / "store")
    unwritten, written = (take_census(model, store) for model in (done.model, open_model(tmp_path / "out")))
    assert [row.content for row in unwritten.rows] == [row.content for row in written.rows]
    room: Buffer = np.empty(64, np.uint8)
    for merged, stored in zip(done.model.tensors, open_model(tmp_path / "out").tensors, strict=True):
        pieces = [np.concatenate([chunk.copy() for chunk in one.chunks(room, 3)]) for one in (merged, stored)]
        np.testing.assert_array_equal(*pieces)
