from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kaibo.cli import main_loop
from kaibo.testing import tiny_model


@dataclass(frozen=True)
class Ran:
    """What one command line did: its exit code and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document on stdout; nothing may stand before or after it."""
        assert self.out.count("\n") == 1, self.out
        found: dict[str, Any] = json.loads(self.out, parse_constant=_refuse)
        return found

    @property
    def lines(self) -> list[str]:
        """The lines on stderr that are errors, not notes."""
        return [line for line in self.err.splitlines() if not line.startswith("kaibo: note: ")]


def _refuse(name: str) -> None:
    raise AssertionError(f"{name} is no JSON")


Run = Callable[..., Ran]


@pytest.fixture
def kaibo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command line in this process, inside an empty folder with a store of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KAIBO_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("KAIBO_WORKERS", "1")
    monkeypatch.setenv("COLUMNS", "100")

    def run(*arguments: str) -> Ran:
        capsys.readouterr()
        code = main_loop(list(arguments))
        written = capsys.readouterr()
        return Ran(code, written.out, written.err)

    return run


@pytest.fixture
def tiny(tmp_path: Path) -> str:
    """A bf16 LLaMA-shaped model in the folder `tiny` under the working folder."""
    tiny_model(tmp_path / "tiny", layers=2)
    return "tiny"
