"""Differences and spectra while files change under them or a signal comes: said, kept, taken up again."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from kaibo.collect import spectra as spectra_room
from kaibo.collect import take_census
from kaibo.collect.differences import Together, take_differences
from kaibo.collect.spectra import take_spectra
from kaibo.errors import StoppedError
from kaibo.models import open_model
from kaibo.models.pairing import pair_models
from kaibo.store import Store
from kaibo.testing import tiny_model


def cut(file: Path) -> None:
    with file.open("r+b") as opened:
        opened.truncate(file.stat().st_size - 4000)


def rewritten(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[-100:] = bytes(100)
    file.write_bytes(data)


def replaced(file: Path) -> None:
    other = file.with_suffix(".new")
    other.write_bytes(file.read_bytes())
    other.replace(file)


def grown(file: Path) -> None:
    with file.open("ab") as opened:
        opened.write(bytes(64))


@pytest.fixture
def models(tmp_path: Path) -> Path:
    for seed, name in enumerate("abc"):
        tiny_model(tmp_path / name, seed=seed)
    return tmp_path


def compared(folder: Path, names: str, disturb: Any = None, whose: str = "") -> Together:
    base, *tuned = (open_model(folder / name) for name in names)
    pairs = [(model, pair_models(base, model)) for model in tuned]
    if disturb is not None:
        disturb(folder / whose / "model.safetensors")
    return take_differences(base, pairs, Store(folder / "store"))


@pytest.mark.parametrize("disturb", [cut, rewritten, replaced, grown])
@pytest.mark.parametrize("whose", ["a", "b"])
def test_a_file_that_changes_after_its_header_was_read_is_an_error_of_that_model(
    models: Path, disturb: Any, whose: str
) -> None:
    found = compared(models, "abc", disturb, whose)
    failing = [bool(one.failures) for one in found.compared]
    assert failing == ([True, True] if whose == "a" else [True, False]), "the others go on"
    for failure in found.compared[0].failures:
        assert f"{whose}/model.safetensors" in failure.line
        assert failure.exit == 3
    if whose == "b":
        (other,) = compared(models, "ac").compared
        assert found.compared[1].rows == other.rows


def test_spectra_that_were_finished_before_a_signal_are_not_made_again(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(models / "store")
    collected = take_census(open_model(models / "a"), store)
    rows = {row.tensor: row for row in collected.rows}
    wanted = [(tensor, rows[tensor.canonical]) for tensor in collected.model.weights]
    real, calls = spectra_room.spectrum_of, 0

    def counting(matrix: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 3:
            signal.raise_signal(signal.SIGINT)
        return real(matrix)

    monkeypatch.setattr(spectra_room, "spectrum_of", counting)
    with pytest.raises(StoppedError):
        take_spectra("a", wanted, store)
    kept = len(store.spectra({row.content for row in collected.rows}, spectra_room.SETTINGS))
    assert 1 <= kept < 16
    calls = 3
    again = take_spectra("a", wanted, Store(models / "store"))
    assert (again.known, again.measured) == (kept, 16 - kept)
    assert calls == 3 + 16 - kept
    fresh = take_spectra("a", wanted, Store(models / "other"))
    assert [one.spectrum and one.spectrum.values.tobytes() for one in fresh.rows] == [
        one.spectrum and one.spectrum.values.tobytes() for one in again.rows
    ]


def test_removing_a_model_frees_spectra_and_resolved_bins_of_its_differences(models: Path) -> None:
    import kaibo

    settings = kaibo.Settings(store=models / "store")
    kaibo.diff(models / "a", [models / "b", models / "c"], settings=settings)
    kaibo.questions.change_spectrum(models / "a", [models / "b", models / "c"], settings=settings)
    store = Store(models / "store")

    def contents(table: str) -> set[str]:
        return set(store.sql(f"SELECT DISTINCT content FROM {table}")["content"].to_pylist())

    of_c = set(store.sql("SELECT content FROM joint").to_pydict()["content"])
    before = {table: contents(table) for table in ("spectra", "resolved")}
    assert all(before.values())
    store.remove(str(models / "c"))
    store = Store(models / "store")
    left = set(store.sql("SELECT content FROM joint").to_pydict()["content"])
    for table, had in before.items():
        assert contents(table) == had - (of_c - left), table
        assert contents(table) < had, table
