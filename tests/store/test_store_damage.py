"""What is broken in a store is noticed before it is used, set aside, and measured again; the rest stays usable."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kaibo.cli import main_loop
from kaibo.errors import StorageError
from kaibo.store import Counted, Store, disk
from kaibo.store.ledger import _canonical, _checksum, encode
from kaibo.store.schemas import SCHEMAS, SOURCES
from kaibo.vocabulary import Census

NONE = np.zeros(0, np.uint64)


def counted(seed: int) -> Counted:
    counts = np.arange(seed, seed + 9, dtype=np.uint64)
    census = Census("BF16", np.arange(9, dtype=np.uint32), counts, NONE, NONE.reshape(0, 2), 0.0, float(seed))
    return Counted(f"source {seed}", f"{seed:032x}", census)


ALL = [f"{seed:032x}" for seed in (1, 2)]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "store")
    store.record([counted(1)])
    store.record([counted(2)])
    return store


def part(store: Store, table: str = "census") -> Path:
    return store.path / "parts" / store.parts.entries(table)[0].part


def assert_only_the_first_is_lost_until_measured_again(store: Store) -> None:
    fresh = Store(store.path)
    assert fresh.censuses(ALL) == {ALL[1]: counted(2).census}
    assert len(fresh.warnings) == 1
    assert Store(store.path).warnings == ()
    fresh.record([counted(1)])
    healed = Store(store.path)
    assert healed.censuses(ALL) == {ALL[0]: counted(1).census, ALL[1]: counted(2).census}
    assert healed.verify() == []


def test_one_flipped_bit_anywhere_in_a_part_is_noticed(store: Store, tmp_path: Path) -> None:
    size = part(store).stat().st_size
    positions = np.random.default_rng(0).choice(size * 8, 40, replace=False)
    for bit in positions.tolist():
        copy = Store(shutil.copytree(store.path, tmp_path / str(bit)))
        data = bytearray(part(copy).read_bytes())
        data[bit // 8] ^= 1 << bit % 8
        part(copy).write_bytes(data)
        assert Store(copy.path).censuses(ALL) == {ALL[1]: counted(2).census}
        damages = copy.verify()
        assert damages == []  # the reader above has set it aside
        assert len(list((copy.path / "quarantine").iterdir())) == 2


@pytest.mark.parametrize("length", [0, 1, 4, -1, -8])
def test_a_truncated_part_is_set_aside(store: Store, length: int) -> None:
    part(store).write_bytes(part(store).read_bytes()[:length])
    assert_only_the_first_is_lost_until_measured_again(store)


def test_a_missing_part_is_noticed(store: Store) -> None:
    part(store).unlink()
    assert_only_the_first_is_lost_until_measured_again(store)


def test_a_part_of_another_run_under_the_same_name_is_noticed(store: Store) -> None:
    other = store.path / "parts" / store.parts.entries("census")[1].part
    part(store).write_bytes(other.read_bytes())
    assert_only_the_first_is_lost_until_measured_again(store)


@pytest.mark.parametrize("torn", [b"", b"{", b"[]", b"null", b"{}", b"[" * 100_000, b"\xff\xfe", b'{"checksum": 1}'])
def test_a_torn_entry_is_set_aside_with_its_part(store: Store, torn: bytes) -> None:
    entry = store.parts.entries("census")[0]
    (store.path / "ledger" / entry.name).write_bytes(torn)
    assert_only_the_first_is_lost_until_measured_again(store)
    assert not (store.path / "parts" / entry.part).exists()


def test_any_flipped_bit_of_an_entry_is_noticed(store: Store, tmp_path: Path) -> None:
    name = store.parts.entries("census")[0].name
    size = (store.path / "ledger" / name).stat().st_size
    for bit in np.random.default_rng(1).choice(size * 8, 80, replace=False).tolist():
        copy = Store(shutil.copytree(store.path, tmp_path / str(bit)))
        data = bytearray((copy.path / "ledger" / name).read_bytes())
        data[bit // 8] ^= 1 << bit % 8
        (copy.path / "ledger" / name).write_bytes(data)
        assert len(Store(copy.path).verify()) == 1, bit
        assert Store(copy.path).censuses(ALL) == {ALL[1]: counted(2).census}


def test_an_entry_that_names_a_file_elsewhere_is_not_followed(store: Store, tmp_path: Path) -> None:
    name = store.parts.entries("census")[0].name
    fields = json.loads((store.path / "ledger" / name).read_text())
    fields.pop("checksum")
    fields["part"] = "../../etc/passwd"
    (store.path / "ledger" / name).write_bytes(_canonical({**fields, "checksum": _checksum(fields)}))
    assert_only_the_first_is_lost_until_measured_again(store)


def test_a_part_without_an_entry_is_never_read(store: Store) -> None:
    entry = store.parts.entries("census")[0]
    (store.path / "ledger" / entry.name).unlink()
    fresh = Store(store.path)
    assert fresh.censuses(ALL) == {ALL[1]: counted(2).census}
    assert fresh.warnings == ()


def test_bytes_with_the_right_hash_that_are_no_table_are_set_aside(store: Store) -> None:
    table = pa.table({"something": [1]})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    entry = store.parts.entries("census")[0]
    import hashlib
    from dataclasses import replace

    for data in (b"not parquet at all", sink.getvalue().to_pybytes()):
        digest = hashlib.sha256(data).hexdigest()
        (store.path / "parts" / entry.part).write_bytes(data)
        forged = encode(replace(entry, sha256=digest, size=len(data)))
        (store.path / "ledger" / entry.name).write_bytes(forged)
        fresh = Store(store.path)
        assert fresh.censuses(ALL) == {ALL[1]: counted(2).census}
        assert "does not hold the table census" in fresh.warnings[0]


def test_verify_says_what_is_broken_and_the_rest_stays(store: Store) -> None:
    part(store).write_bytes(b"PAR1")
    (store.path / "ledger" / store.parts.entries("sources")[0].name).write_bytes(b"{")
    found = Store(store.path).verify()
    assert {(damage.table, damage.set_aside) for damage in found} == {("census", True), ("sources", True)}
    assert Store(store.path).verify() == []
    assert Store(store.path).contents(["source 1", "source 2"]) == {"source 2": ALL[1]}


def test_a_store_that_cannot_be_written_is_read_and_its_damage_reported(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(30, os.strerror(30))

    part(store).write_bytes(b"PAR1")
    for name in ("create", "write", "rename", "unlink", "mkdir"):
        monkeypatch.setattr(disk, name, refuse)
    fresh = Store(store.path)
    assert fresh.censuses(ALL) == {ALL[1]: counted(2).census}
    assert fresh.contents(["source 1"]) == {"source 1": ALL[0]}
    assert "ignored" in fresh.warnings[0]
    assert [damage.set_aside for damage in fresh.verify()] == [False]
    assert fresh.sql("SELECT count(*) AS n FROM census").to_pydict() == {"n": [1]}
    with pytest.raises(StorageError, match="Read-only file system"):
        fresh.record([counted(3)])


def test_compaction_takes_over_what_is_sound(store: Store) -> None:
    part(store).write_bytes(b"PAR1")
    fresh = Store(store.path)
    fresh.compact()
    assert fresh.censuses(ALL) == {ALL[1]: counted(2).census}


def test_a_table_of_a_newer_kaibo_is_refused_with_both_versions_and_left_alone(store: Store) -> None:
    from dataclasses import replace

    entry = store.parts.entries("sources")[0]
    newer = encode(replace(entry, schema=SOURCES.version + 6, kaibo="9.1.0"))
    (store.path / "ledger" / entry.name).write_bytes(newer)
    fresh = Store(store.path)
    with pytest.raises(StorageError, match=r"in version 7 \(kaibo 9.1.0\); this is kaibo .* up to version 1"):
        fresh.contents(["source 1"])
    assert fresh.censuses(ALL).keys() == set(ALL)  # other tables are not concerned
    fresh.compact()
    assert (store.path / "ledger" / entry.name).read_bytes() == newer
    assert (store.path / "parts" / entry.part).exists()


def test_a_ledger_of_a_newer_kaibo_is_refused_with_both_versions(store: Store) -> None:
    entry = store.parts.entries("sources")[0]
    fields = json.loads((store.path / "ledger" / entry.name).read_text())
    fields.pop("checksum")
    fields.update(format=2, kaibo="9.1.0")
    (store.path / "ledger" / entry.name).write_bytes(_canonical({**fields, "checksum": _checksum(fields)}))
    with pytest.raises(StorageError, match=r"kaibo 9.1.0 in format 2; this one reads up to format 1"):
        Store(store.path).contents([])


def test_a_column_that_this_kaibo_does_not_know_is_read_past_and_never_rewritten(store: Store) -> None:
    import hashlib
    from dataclasses import replace

    entry = store.parts.entries("sources")[0]
    table = pq.read_table(store.path / "parts" / entry.part).append_column("mood", pa.array(["calm"]))
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    data = sink.getvalue().to_pybytes()
    (store.path / "parts" / entry.part).write_bytes(data)
    forged = encode(replace(entry, sha256=hashlib.sha256(data).hexdigest(), size=len(data)))
    (store.path / "ledger" / entry.name).write_bytes(forged)
    fresh = Store(store.path)
    assert fresh.contents(["source 1", "source 2"]).keys() == {"source 1", "source 2"}
    fresh.compact()
    assert (store.path / "parts" / entry.part).read_bytes() == data
    assert fresh.verify() == []


def test_a_file_where_a_store_should_be_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("hello")
    for work in (lambda s: s.contents(["a"]), lambda s: s.record([counted(1)]), lambda s: s.listing()):
        with pytest.raises(StorageError):
            work(Store(tmp_path / "file"))


def test_a_part_whose_entry_was_taken_away_is_named(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert store.abandoned() == []
    entry = store.parts.entries("census")[0]
    os.unlink(store.path / "ledger" / entry.name)
    assert [path.name for path in Store(store.path).abandoned()] == [entry.part]
    assert main_loop(["store", "verify", "--store", str(store.path)]) == 0
    said = "".join(capsys.readouterr())
    assert "1 files have no entry in the ledger" in said
    assert entry.part in said


def _rows(path: Path) -> tuple[dict[str, list[str]], Store]:
    reader = Store(path)
    return {name: sorted(map(repr, reader.parts.read(name).to_pylist())) for name in SCHEMAS}, reader


def _flipped(data: bytes, dice: random.Random) -> bytes:
    bit = dice.randrange(len(data) * 8)
    return data[: bit // 8] + bytes([data[bit // 8] ^ 1 << bit % 8]) + data[bit // 8 + 1 :]


DAMAGES: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "a bit flipped": _flipped,
    "cut": lambda data, dice: data[: dice.randrange(len(data))],
    "nothing left": lambda data, dice: b"",
    "zeros in it": lambda data, dice: data[: (at := dice.randrange(len(data)))] + bytes(9) + data[at + 9 :],
    "bytes added": lambda data, dice: data + bytes(dice.randrange(1, 99)),
}


@pytest.mark.parametrize("times", [1, pytest.param(40, marks=pytest.mark.slow)])
@pytest.mark.parametrize("damage", [*DAMAGES, "gone", "renamed"])
def test_no_damage_gives_another_row_or_takes_one_without_a_word(
    store: Store, tmp_path: Path, damage: str, times: int
) -> None:
    """What is lost is named by the reader, or (an entry that is gone) by `store verify`."""
    sound, _ = _rows(store.path)
    files = sorted(path for path in store.path.rglob("*") if path.is_file())
    dice = random.Random(damage)
    for turn in range(times):
        copy = shutil.copytree(store.path, tmp_path / str(turn))
        struck = copy / dice.choice(files).relative_to(store.path)
        before = struck.read_bytes()
        if damage in DAMAGES:
            struck.write_bytes(DAMAGES[damage](before, dice))
        elif damage == "gone":
            struck.unlink()
        else:
            struck.rename(struck.with_name(f"x{struck.name}"))
        found, reader = _rows(copy)
        for name, rows in found.items():
            assert set(rows) <= set(sound[name]), (damage, struck)
            assert len(set(rows)) == len(rows), (damage, struck)
        unchanged = struck.exists() and struck.read_bytes() == before
        assert unchanged or found == sound or reader.warnings or reader.verify() or reader.abandoned(), (damage, struck)
