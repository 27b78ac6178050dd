"""What is recorded comes back, whatever it is, and the second time nothing is written."""

from __future__ import annotations

import pickle
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kaibo.errors import StorageError
from kaibo.store import Counted, Failure, Store
from kaibo.vocabulary import Census, Row

WORDS = st.integers(0, 2**64 - 1)
DTYPES = ("BF16", "F16", "F8_E4M3", "F8_E5M2", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "F32", "F64")


@st.composite
def censuses(draw: st.DrawFn) -> Census:
    dtype = draw(st.sampled_from(DTYPES))
    wide = dtype in ("F32", "F64")
    keys = sorted(draw(st.sets(st.integers(0, 2**18 - 1 if wide else 255), max_size=20)))
    count = len(keys)
    words = st.lists(WORDS, min_size=count, max_size=count)
    counts = draw(st.lists(st.integers(0, 2**40), min_size=count, max_size=count))
    lo = draw(words) if wide else []
    lo2 = list(zip(draw(words), draw(words), strict=True)) if wide else []
    extreme = st.none() | st.floats(allow_nan=False, allow_infinity=False)
    whole = st.integers(0, 2**62)
    return Census(
        dtype,
        np.array(keys, np.uint32),
        np.array(counts, np.uint64),
        np.array(lo, np.uint64),
        np.array(lo2, np.uint64).reshape(-1, 2),
        draw(extreme),
        draw(extreme),
        draw(whole) // 4,
        draw(whole) // 4,
        draw(whole) // 4,
        tuple(draw(st.lists(whole, min_size=11, max_size=11))) if dtype == "F64" else (),
    )


def identical(one: Census, other: Census) -> bool:
    arrays = ("keys", "counts", "lo", "lo2")
    plain = ("minimum", "maximum", "nan", "digits64", "dtype")
    return (
        one == other
        and all(getattr(one, name).dtype == getattr(other, name).dtype for name in arrays)
        and all(getattr(one, name).shape == getattr(other, name).shape for name in arrays)
        and all(repr(getattr(one, name)) == repr(getattr(other, name)) for name in plain)
    )


def small(seed: int, dtype: str = "BF16") -> Census:
    counts = np.random.default_rng(seed).integers(1, 99, 5).astype(np.uint64)
    none = np.zeros(0, np.uint64)
    return Census(dtype, np.arange(5, dtype=np.uint32), counts, none, none.reshape(0, 2), -1.0, 2.0)


def counted(seed: int) -> Counted:
    return Counted(f"source {seed}", f"{seed:032x}", small(seed))


def row(seed: int, model: str = "./m", model_id: str = "1" * 16) -> Row:
    return Row(model, model_id, f"layers.{seed}.w", seed, "mlp.up", "BF16", (5, 7), f"{seed:032x}", small(seed))


def files(store: Store) -> list[str]:
    return sorted(str(path.relative_to(store.path)) for path in store.path.rglob("*") if path.is_file())


@settings(max_examples=60, deadline=None)
@given(st.lists(censuses(), min_size=1, max_size=4))
def test_any_census_comes_back_equal_to_the_last_bit(found: list[Census]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "store")
        store.record([Counted(None, f"{at:032x}", census) for at, census in enumerate(found)])
        back = Store(store.path).censuses([f"{at:032x}" for at in range(len(found))])
    assert len(back) == len(found)
    assert all(identical(back[f"{at:032x}"], census) for at, census in enumerate(found))


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_census_of_nothing_comes_back(tmp_path: Path, dtype: str) -> None:
    store = Store(tmp_path / "store")
    store.record([Counted("s", "0" * 32, Census.empty(dtype))])
    assert identical(store.censuses(["0" * 32])["0" * 32], Census.empty(dtype))


def test_opening_and_asking_create_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / "deep" / "store")
    assert store.contents(["a"]) == {}
    assert store.censuses(["b"]) == {}
    assert not (tmp_path / "deep").exists()


def test_only_what_is_asked_for_comes_back(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    for first in range(0, 6, 2):
        store.record([counted(first), counted(first + 1)])
    assert store.contents(["source 1", "source 4", "never"]) == {"source 1": f"{1:032x}", "source 4": f"{4:032x}"}
    assert list(store.censuses([f"{3:032x}"])) == [f"{3:032x}"]
    assert store.censuses([]) == {}


def test_saying_the_same_twice_writes_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    store.record([counted(1), counted(2)])
    store.record_model("org/m", "llama", [row(1), row(2)])
    store.record_failures([Failure("./m", None, "format", "cut")])
    before = files(store)
    store.record([counted(2), counted(1), counted(2)])
    Store(store.path).record_model("org/m", "llama", [row(1), row(2)])
    store.record_failures([Failure("./m", None, "format", "cut")])
    assert files(store) == before


def test_each_call_makes_one_part_per_table_and_an_entry_for_each(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    store.record([counted(1), counted(2)])
    names = files(store)
    assert len([name for name in names if name.startswith("parts/census-")]) == 1
    assert len([name for name in names if name.startswith("parts/sources-")]) == 1
    assert len([name for name in names if name.startswith("ledger/")]) == len(names) - 2 == 2


def test_equal_content_makes_the_same_bytes(tmp_path: Path) -> None:
    one, two = Store(tmp_path / "one"), Store(tmp_path / "two")
    for store in (one, two):
        store.record([counted(1), counted(2)])
    read = [sorted(path.read_bytes() for path in (store.path / "parts").iterdir()) for store in (one, two)]
    assert read[0] == read[1]


def test_one_key_with_two_measurements_stops_and_shows_both(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    store.record([counted(1)])
    with pytest.raises(StorageError, match=r"counts\[0\] is \[\d+\] in the store and \[\d+\] in this call"):
        store.record([Counted("other", f"{1:032x}", small(9))])
    with pytest.raises(StorageError, match=r"content is '0+1' in the store and '0+2' in this call"):
        store.record([Counted("source 1", f"{2:032x}", small(2))])


def test_two_writers_who_disagree_are_noticed_by_the_reader(tmp_path: Path) -> None:
    one, two = Store(tmp_path / "store"), Store(tmp_path / "elsewhere")
    one.record([counted(1)])
    two.record([Counted("source 1", f"{1:032x}", small(9))])
    for folder in ("parts", "ledger"):
        for path in (two.path / folder).iterdir():
            (one.path / folder / path.name).write_bytes(path.read_bytes())
    with pytest.raises(StorageError, match="two different rows"):
        Store(one.path).censuses([f"{1:032x}"])
    with pytest.raises(StorageError, match=r"counts\[0\] is"):
        Store(one.path).parts.read("census")


def test_a_model_recorded_again_with_better_roles_replaces_the_older_rows(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    store.record_model("org/m", "other", [row(1)])
    store.record_model("org/m", "llama", [row(1)])
    assert store.parts.read("models", columns=["family"]).to_pydict() == {"family": ["llama"]}


def test_paths_that_are_not_text_are_kept_and_found(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    store.record([Counted("caf\udce9", f"{1:032x}", None)])
    assert store.contents(["caf\udce9"]) == {"caf\udce9": f"{1:032x}"}
    assert store.censuses([f"{1:032x}"]) == {}


def test_a_store_can_be_sent_to_another_process(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    store.record([counted(1)])
    assert pickle.loads(pickle.dumps(store)).contents(["source 1"]) == {"source 1": f"{1:032x}"}
