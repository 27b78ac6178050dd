"""What a store keeps of several models together goes when one of them goes, and not before."""

from __future__ import annotations

from pathlib import Path

from kaibo.collect import take_census
from kaibo.collect.differences import take_differences
from kaibo.models import open_model
from kaibo.models.pairing import pair_models
from kaibo.store import Store
from kaibo.testing import tiny_model

TABLES = ("census", "joint", "vectors", "signs", "sources", "models")


def rows(store: Store) -> dict[str, set[str]]:
    return {name: set(map(str, store.sql(f"SELECT * FROM {name}").to_pylist())) for name in TABLES}


def compared(folder: Path, names: str, store: Path) -> Store:
    base, *tuned = (open_model(folder / name) for name in names)
    vocabularies = {"token": 0}, {"token": 1}
    pairings = [(model, pair_models(base, model, vocabularies)) for model in tuned]
    take_differences(base, pairings, Store(store))
    return Store(store)


def test_removing_a_model_frees_what_was_measured_of_it_together_with_others(tmp_path: Path) -> None:
    for seed, name in enumerate("abcd"):
        tiny_model(tmp_path / name, seed=seed)
    two = rows(compared(tmp_path, "abc", tmp_path / "two"))
    store = compared(tmp_path, "abcd", tmp_path / "all")
    store.remove(str(tmp_path / "d"))
    left = rows(Store(tmp_path / "all"))
    for name in ("census", "joint", "vectors", "sources", "models"):
        assert left[name] == two[name], name
    assert left["signs"] == set()  # they were of all three


def test_what_was_formed_from_a_model_goes_with_it_and_equal_tensors_stay(tmp_path: Path) -> None:
    for name in "ab":
        tiny_model(tmp_path / name, seed=ord(name))
    store = compared(tmp_path, "ab", tmp_path / "s")
    assert "rows:" in str(rows(store)["sources"])  # tables were compared by rows of which one was re-numbered
    store.remove(str(tmp_path / "b"))
    left = rows(Store(tmp_path / "s"))
    assert not left["joint"] | left["vectors"] | left["signs"]
    alone = Store(tmp_path / "alone")
    take_census(open_model(tmp_path / "a"), alone)
    assert rows(alone)["models"] == left["models"]
    assert rows(alone)["census"] <= left["census"]
    store.remove(str(tmp_path / "a"))
    assert not any(rows(Store(tmp_path / "s")).values())
