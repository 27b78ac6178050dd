"""The generator of anatomies itself, on a few types: it writes what is there, which holds at other sizes too."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[2] / "tools" / "anatomy"


@pytest.mark.slow
@pytest.mark.parametrize("model_type", ["gpt_oss"])
def test_the_generator_writes_the_file_that_is_there_and_it_holds_at_two_further_sizes(model_type):
    pytest.importorskip("transformers")
    ran = subprocess.run([sys.executable, TOOL, "--check", model_type], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr[-2000:]
