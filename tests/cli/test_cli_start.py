"""What a command line loads before it does anything."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from kaibo.testing import tiny_model

CONFIG = """{"model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
"intermediate_size": 96, "vocab_size": 100}"""

SHOWN = "import atexit, sys; atexit.register(lambda: print(*sys.modules, sep=chr(10), file=sys.stderr))"


def loaded(*arguments: str) -> set[str]:
    code = f"{SHOWN}; from kaibo.cli import main; main({list(arguments)!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


def test_a_command_line_loads_its_own_command_alone_and_nothing_heavy() -> None:
    modules = loaded("inspect", "--help")
    commands = {name for name in modules if name.startswith("kaibo.chapters.") and name.endswith(".command")}
    assert commands == {"kaibo.chapters.inspect.command"}
    assert not modules & {"pydantic", "numba", "scipy", "duckdb", "pyarrow", "altair", "torch"}


def test_a_lone_config_is_described_without_numpy_and_without_what_reads_weights(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(CONFIG, encoding="utf-8")
    modules = loaded("inspect", str(tmp_path / "config.json"))
    assert "kaibo.models.anatomy.architecture" in modules
    assert not modules & {"numpy", "kaibo.models.formats", "kaibo.models.packings", "kaibo.store"}


def test_an_answer_that_is_known_comes_without_scipy_kernels_or_questions(tmp_path: Path) -> None:
    asked = ("digits", str(tiny_model(tmp_path / "model")), "--by", "role", "--store", str(tmp_path / "store"))
    assert "numba" in loaded(*asked)
    assert not loaded(*asked) & {"numba", "scipy", "pandas", "duckdb", "pyarrow.compute"}


def test_a_shell_that_asks_for_completions_is_answered() -> None:
    asked = {"_KAIBO_COMPLETE": "complete_bash", "COMP_WORDS": "kaibo ins", "COMP_CWORD": "1"}
    command = [sys.executable, "-c", "from kaibo.cli import main; main()"]
    done = subprocess.run(command, env=os.environ | asked, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["inspect"]
