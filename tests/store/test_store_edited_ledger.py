"""Whatever an entry of the ledger says, with a checksum that fits: an error of ours, or a damage that is named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faults import refused
from kaibo.store import Counted, Failure, Store
from kaibo.store.ledger import _canonical, _checksum
from kaibo.vocabulary import Census
from measured import no_hang

NONE = np.zeros(0, np.uint64)
FIELDS = ("format", "sequence", "table", "schema", "kaibo", "part", "size", "sha256", "rows", "keys", "replaces")
VALUES: tuple[Any, ...] = (
    None, True, False, -1, 0, 1, 2**31, 2**63, 2**80, 10**400, 0.5, 1e300, "", "census", "sources", "no_such", "a\0b",
    "../x", "00", "zz", "é", [], [1], ["x"], [[]], {}, {"a": 1},
)  # fmt: skip


def counted(seed: int) -> Counted:
    counts = np.arange(seed, seed + 9, dtype=np.uint64)
    census = Census("BF16", np.arange(9, dtype=np.uint32), counts, NONE, NONE.reshape(0, 2), 0.0, float(seed))
    return Counted(f"source {seed}", f"{seed:032x}", census)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = Store(tmp_path_factory.mktemp("sound") / "store")
    store.record([counted(1)])
    store.record([counted(2)])
    store.record_failures([Failure("m", "w", "format", "cut")])
    return store.path


USES: dict[str, Callable[[Store], object]] = {
    "contents": lambda store: store.contents(["source 1", "source 2"]),
    "censuses": lambda store: store.censuses([f"{seed:032x}" for seed in (1, 2)]),
    "listing": lambda store: store.listing(),
    "outdated": lambda store: store.outdated(),
    "sql": lambda store: store.sql("SELECT count(*) FROM census, sources"),
    "record": lambda store: store.record([counted(3)]),
    "compact": lambda store: store.compact(),
    "verify": lambda store: store.verify(),
}


def edited(sound: Path, folder: Path, field: str, value: Any) -> Path:
    """A store of which one entry of each table says something else."""
    shutil.copytree(sound, folder)
    for path in sorted((folder / "ledger").iterdir())[:2]:
        fields = json.loads(path.read_text())
        fields.pop("checksum")
        fields[field] = value
        path.write_bytes(_canonical({**fields, "checksum": _checksum(fields)}))
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("field", FIELDS)
def test_an_edited_entry_ends_in_an_error_of_ours_or_is_set_aside(sound: Path, tmp_path: Path, field: str) -> None:
    for number, value in enumerate(VALUES):
        folder = edited(sound, tmp_path / str(number), field, value)
        with no_hang():
            for use in USES.values():
                error = refused(lambda use=use, folder=folder: use(Store(folder)))
                assert error is None or error.kind in ("storage", "usage"), error
        shutil.rmtree(folder)


@pytest.mark.slow
@pytest.mark.parametrize("field", ["table", "schema", "size", "rows", "keys", "sha256"])
def test_rows_that_an_edit_hides_are_not_lost_without_a_word(sound: Path, tmp_path: Path, field: str) -> None:
    """What cannot be read any more is named by the reader, or at the latest by verify."""
    for number, value in enumerate(VALUES):
        folder = edited(sound, tmp_path / str(number), field, value)
        store = Store(folder)
        found: dict[str, Any] = {}
        error = refused(lambda store=store, found=found: found.update(store.contents(["source 1", "source 2"])))
        error = error or refused(lambda store=store, found=found: found.update(store.censuses([f"{1:032x}"])))
        if error is None and len(found) < 3:
            assert store.warnings or store.verify(), (field, value)
        shutil.rmtree(folder)


def test_links_that_lead_nowhere_and_folders_in_the_ledger_are_damage_and_no_endless_loop(
    sound: Path, tmp_path: Path
) -> None:
    for make in (lambda path: path.symlink_to("nowhere"), lambda path: path.mkdir()):
        folder = tmp_path / "store"
        shutil.copytree(sound, folder)
        make(folder / "ledger" / "000000000009-x.json")
        with no_hang():
            error = refused(lambda folder=folder: Store(folder).contents(["source 1"]))
        assert error is None or error.kind == "storage"
        shutil.rmtree(folder)
