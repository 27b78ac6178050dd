"""What only a process of its own can show: signals, pipes, closed and full outputs, poor terminals, names in bytes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import kaibo
from kaibo.testing import sparse_model, tiny_model

KAIBO = [sys.executable, "-m", "kaibo"]
SLOW = """
import sys, time
import kaibo.collect.engine as engine
real = engine.count_span
def slow(tensor, begin, end, workspace):
    print("begun", file=sys.stderr, flush=True)
    time.sleep(0.1)
    return real(tensor, begin, end, workspace)
engine.count_span = slow
from kaibo.cli import main
main(sys.argv[1:])
"""


def _environment(**changes: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONUNBUFFERED", "KAIBO_STORE")}
    return {**kept, "PYTHONPATH": str(Path(__file__).parents[2] / "src"), **changes}


def _run(arguments: list[str | bytes], cwd: Path, **changes: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*KAIBO, *arguments], cwd=cwd, env=_environment(**changes), capture_output=True, timeout=60, check=False
    )


def _stopped(cwd: Path, *signals: signal.Signals) -> subprocess.CompletedProcess[str]:
    """A census with a slow count, sent the signals once it is under way."""
    command = [sys.executable, "-c", SLOW, "census", "tiny", "--workers", "1"]
    with subprocess.Popen(command, cwd=cwd, env=_environment(), stdout=-1, stderr=-1, text=True) as process:
        assert process.stderr is not None
        assert process.stdout is not None
        for _ in range(3):
            process.stderr.readline()
        for number in signals:
            process.send_signal(number)
            time.sleep(0.02)
        err = process.stderr.read()
        out = process.stdout.read()
    lines = "".join(line for line in err.splitlines(keepends=True) if line != "begun\n")
    return subprocess.CompletedProcess(command, process.returncode, out, lines)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_stopped_census_keeps_what_was_finished_and_says_how_to_go_on(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    tiny_model(tmp_path / "tiny")
    stopped = _stopped(tmp_path, number)
    assert stopped.returncode == code, stopped.stderr
    assert stopped.stderr.count("\n") == 1
    assert stopped.stderr.startswith("kaibo: stopped by ")
    assert "run the same command again" in stopped.stderr
    assert stopped.stdout == ""
    settings = [kaibo.Settings(store=tmp_path / name) for name in ("kaibo-store", "other")]
    (resumed,), (whole,) = (kaibo.census(tmp_path / "tiny", settings=chosen) for chosen in settings)
    assert 0 < resumed.known < 21
    assert resumed.read == 21 - resumed.known
    assert resumed.model_id == whole.model_id
    one, other = (kaibo.digits(tmp_path / "tiny", "tensor", settings=chosen) for chosen in settings)
    assert one.to_json() == other.to_json()


def test_a_second_interrupt_ends_at_once_without_a_traceback(tmp_path: Path) -> None:
    tiny_model(tmp_path / "tiny")
    stopped = _stopped(tmp_path, signal.SIGINT, signal.SIGINT)
    assert stopped.returncode == 130
    assert stopped.stderr.count("\n") == 1
    assert stopped.stderr.startswith("kaibo: stopped")


def test_a_reader_that_leaves_is_no_error_message(tmp_path: Path) -> None:
    tiny_model(tmp_path / "tiny", layers=60, hidden=8)
    for arguments in (["--json"], []):
        command = [*KAIBO, "digits", "tiny", "--by", "tensor", *arguments]
        with subprocess.Popen(command, cwd=tmp_path, env=_environment(), stdout=-1, stderr=-1) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.read(1)
            process.stdout.close()
            err = process.stderr.read()
        assert process.returncode in (0, 141)  # 0 where everything was written before the reader left
        assert err == b""


@pytest.mark.parametrize("arguments", [["inspect", "tiny"], ["inspect", "tiny", "--json"], ["--help"]])
def test_a_full_disk_behind_stdout_is_exit_6(tmp_path: Path, arguments: list[str]) -> None:
    tiny_model(tmp_path / "tiny")
    with open("/dev/full", "wb") as full:
        ran = subprocess.run(
            [*KAIBO, *arguments], cwd=tmp_path, env=_environment(), stdout=full, stderr=-1, check=False
        )
    assert ran.returncode == 6
    assert ran.stderr.count(b"\n") == 1
    assert ran.stderr.startswith(b"kaibo: ")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_change_nothing_but_what_is_shown(tmp_path: Path, closed: str) -> None:
    tiny_model(tmp_path / "tiny")
    for arguments, code in (("census tiny", 0), ("census nowhere --json", 4)):
        command = f'exec "{sys.executable}" -m kaibo {arguments} {closed}'
        ran = subprocess.run(["sh", "-c", command], cwd=tmp_path, env=_environment(), capture_output=True, check=False)
        assert ran.returncode == code, ran.stderr
        assert b"Traceback" not in ran.stderr


def test_an_ascii_terminal_of_20_columns_gets_ascii(tmp_path: Path) -> None:
    tiny_model(tmp_path / "tiny")
    poor = {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "COLUMNS": "20", "TERM": "dumb"}
    for arguments in (["stats", "tiny", "--lang", "ja"], ["dissect", "tiny"]):
        ran = _run(arguments, tmp_path, **poor)
        assert ran.returncode == 0, ran.stderr
        assert ran.stdout.isascii()
        assert b"\x1b" not in ran.stdout


def test_a_name_that_is_no_utf8_is_read_and_spelled(tmp_path: Path) -> None:
    name = b"m-\xff\xfe"
    os.rename(tiny_model(tmp_path / "tiny"), os.path.join(os.fsencode(tmp_path), name))
    found = json.loads(_run(["dissect", name, "--json"], tmp_path).stdout)["results"][0]
    assert os.fsencode(found["model"]) == name
    assert (tmp_path / found["page"]).exists() or os.path.exists(
        os.fsencode(tmp_path) + b"/" + os.fsencode(found["page"])
    )
    absent = _run(["census", b"\xff"], tmp_path)
    assert absent.returncode == 4
    assert absent.stderr.count(b"\n") == 1
    absent.stderr.decode("utf-8")


def test_a_pipe_sees_no_progress_bar_and_no_colour(tmp_path: Path) -> None:
    sparse_model(tmp_path / "sparse", 0.05, tensors=4)
    ran = _run(["census", "sparse"], tmp_path)
    assert ran.returncode == 0
    assert ran.stderr == b""
    assert b"\x1b" not in ran.stdout


def test_no_home_no_temporary_folder_and_no_cache_still_count(tmp_path: Path) -> None:
    tiny_model(tmp_path / "tiny", layers=1)
    nowhere = {"HOME": "/nonexistent", "KAIBO_CACHE": "/proc/nowhere", "XDG_CACHE_HOME": "/proc/nowhere"}
    ran = _run(["census", "tiny", "--json"], tmp_path, **nowhere, TMPDIR="/proc/nowhere")
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["results"][0]["tensors"] == 12
