"""`make faults` in its short form: a few inputs of the catalogue on each command, each run a process with limits."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[2] / "tools" / "faults"


@pytest.mark.slow
def test_each_command_answers_hostile_inputs_as_promised_and_leaves_nothing_half_done(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, TOOL, "--short", "--work", tmp_path], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-2000:]
    assert "as promised" in ran.stdout
