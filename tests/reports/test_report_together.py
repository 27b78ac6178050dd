"""Two commands write into one output folder at once: both succeed, and the folder knows the files of both."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path

import pytest

from kaibo.errors import StorageError
from kaibo.reports.writing import MANIFEST, write_output
from kaibo.store.disk import held

ROUNDS = 20


def _write(folder: str, command: str) -> None:
    for number in range(ROUNDS):
        files = {f"{command}-{part}.bin": f"{command} {number}".encode() for part in range(3)}
        write_output(folder, files, mark={"command": command, "model": "m"})


def test_what_two_commands_write_at_once_is_known_to_be_theirs_afterwards(tmp_path: Path) -> None:
    spawned = multiprocessing.get_context("spawn")
    writers = [spawned.Process(target=_write, args=(str(tmp_path / "out"), name)) for name in ("stats", "digits")]
    for one in writers:
        one.start()
    for one in writers:
        one.join()
    assert [one.exitcode for one in writers] == [0, 0]
    listed = json.loads((tmp_path / "out" / MANIFEST).read_text())["files"]
    assert set(listed) == {f"{name}-{part}.bin" for name in ("stats", "digits") for part in range(3)}
    for name in ("stats", "digits"):  # neither is refused as a stranger's
        write_output(tmp_path / "out", {f"{name}-0.bin": b"again"}, mark={"command": name, "model": "m"})


def test_a_folder_that_another_keeps_is_refused_and_free_again_afterwards(tmp_path: Path) -> None:
    def again() -> None:
        with held(tmp_path / "out"):
            raise AssertionError("never reached")

    with held(tmp_path / "out"), pytest.raises(StorageError, match="another kaibo is writing there") as caught:
        again()
    assert caught.value.exit == 6
    with held(tmp_path / "out"):
        pass
