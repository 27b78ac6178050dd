"""Work dealt out by hash: shards in stores of their own, merged, hold what one process would have measured."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dealt import Ask, dealt, merged, timeless
from faults import in_a_child
from kaibo.cli import main_loop
from kaibo.collect import censuses
from kaibo.collect.shards import Shard
from kaibo.errors import UsageError
from kaibo.testing import tiny_model

SIZES = st.dictionaries(st.text(max_size=8), st.integers(0, 1000), max_size=30)


@settings(max_examples=30)
@given(SIZES, st.integers(1, 7), st.randoms())
def test_every_unit_falls_to_one_shard_whatever_the_order(sizes: dict[str, int], n: int, chance: random.Random) -> None:
    units = list(sizes)
    taken = [Shard(index, n).takes("work", sizes) for index in range(n)]
    assert sorted(unit for one in taken for unit in one) == sorted(units)
    chance.shuffle(units)
    again = {unit: sizes[unit] for unit in units}
    assert [Shard(index, n).takes("work", again) for index in range(n)] == taken


@settings(max_examples=30)
@given(SIZES, st.integers(1, 7))
def test_no_shard_has_more_than_its_part_and_one_unit(sizes: dict[str, int], n: int) -> None:
    costs = {unit: max(1, size) for unit, size in sizes.items()}
    for index in range(n):
        load = sum(costs[unit] for unit in Shard(index, n).takes("work", sizes))
        assert load <= sum(costs.values()) / n + max(costs.values(), default=0)


@pytest.mark.parametrize(
    "text", ["3/3", "-1/2", "x", "1/0", "0/0", "1", "1/2/3", "", " 0/1", "0/1\n", "٠/٢", "0/100001"]
)
def test_what_is_no_shard_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--shard must be i/n"):
        Shard.of(text)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    for seed, name in enumerate(("base", "one", "two")):
        tiny_model(folder / name, seed=seed, dtype="F32" if name == "two" else "BF16", layers=1)
    return folder


COMMANDS: dict[str, list[str]] = {
    "census": ["one", "two"],
    "stats": ["base", "two", "--by", "role"],
    "diff": ["base", "one", "two", "--by", "layer"],
    "check": ["one", "--base", "base"],
}


def words(command: str, models: Path) -> list[str]:
    return [command, *(str(models / one) if (models / one).is_dir() else one for one in COMMANDS[command])]


@pytest.mark.parametrize("command", COMMANDS)
def test_shards_brought_together_answer_as_one_process_does(
    ask: Ask, models: Path, tmp_path: Path, command: str
) -> None:
    asked = words(command, models)
    ask(*asked, "--store", tmp_path / "serial")
    serial = ask(*asked, "--store", tmp_path / "serial")
    whole = merged(tmp_path / "whole", tmp_path / "serial")
    store = dealt(ask, asked, random.Random(command).randint(2, 5), tmp_path)
    assert timeless(ask(*asked, "--store", store)) == timeless(serial)
    assert merged(tmp_path / "whole too", store) == whole


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_any_number_of_shards_gives_the_same_bytes(ask: Ask, models: Path, tmp_path: Path, command: str) -> None:
    asked = words(command, models)
    ask(*asked, "--store", tmp_path / "serial")
    serial = ask(*asked, "--store", tmp_path / "serial")
    for n in range(1, 8):
        assert timeless(ask(*asked, "--store", dealt(ask, asked, n, tmp_path, seed=n))) == timeless(serial)


def test_a_shard_that_was_killed_and_ran_again_changes_no_byte(
    ask: Ask, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(censuses, "FLUSH_BYTES", 0)  # a part for each tensor
    asked = words("census", models)
    part = [*asked, "--shard", "0/2", "--store", str(tmp_path / "a")]
    _, through = in_a_child(lambda _: main_loop(part), at=45)
    assert not through
    first, *_ = ask(*part)["results"]
    assert 0 < first["known"] < first["taken"]
    ask(*asked, "--shard", "1/2", "--store", tmp_path / "b")
    merged(tmp_path / "all", tmp_path / "a", tmp_path / "b")
    for store in ("all", "serial"):
        ask(*asked, "--store", tmp_path / store)
    assert merged(tmp_path / "whole", tmp_path / "all") == merged(tmp_path / "whole too", tmp_path / "serial")


def test_stores_on_one_disk_need_no_merge(ask: Ask, models: Path, tmp_path: Path) -> None:
    asked = words("stats", models)
    for index in range(3):
        ask(*asked, "--shard", f"{index}/3", "--store", tmp_path / "one")
    ask(*asked, "--store", tmp_path / "serial")
    assert ask(*asked, "--store", tmp_path / "one") == ask(*asked, "--store", tmp_path / "serial")


def test_a_part_says_what_it_did_and_what_comes_next_and_gives_no_verdict(
    ask: Ask, models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["stats", str(models / "one"), "--grid", "--shard", "0/2", "--table", "t.csv"]
    assert main_loop(asked) == 0
    said = capsys.readouterr()
    assert "share 0/2 of" in said.out
    assert "tensors" in said.out
    assert "--grid" in said.err
    assert "kaibo store merge kaibo-store … --into ALL" in said.err
    assert not Path("t.csv").exists()
    assert main_loop([*asked[:2], "--shard", "2/2"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_the_second_pass_of_a_diff_is_dealt_out_where_the_first_is_known(
    ask: Ask, models: Path, tmp_path: Path
) -> None:
    asked = words("diff", models)
    ask(*asked, "--store", tmp_path / "serial")
    store = dealt(ask, asked, 3, tmp_path)
    copies = [Path(shutil.copytree(store, tmp_path / name)) for name in ("copy", "other copy")]
    for index, copy in enumerate(copies):
        told = ask(*asked, "--shard", f"{index}/2", "--store", copy)
        (row,) = [row for row in told["results"] if row["unit"] == "thresholds"]
        assert row["measured"] == row["taken"] > 0
    together = tmp_path / "together"
    ask("store", "merge", *copies, "--into", together)
    tables = {row["part"].partition("-")[0] for row in _parts(together)}
    assert "resolved" in tables
    before = _parts(together)
    assert timeless(ask(*asked, "--store", together)) == timeless(ask(*asked, "--store", tmp_path / "serial"))
    assert {row["part"].partition("-")[0] for row in _parts(together)} - {row["part"] for row in before}


def _parts(store: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted((store / "ledger").glob("*.json"))]
