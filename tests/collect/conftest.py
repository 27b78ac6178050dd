from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dealt import Ask
from kaibo.cli import main_loop
from kaibo.store import disk


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ask:
    """The document of a command line, run inside an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KAIBO_WORKERS", "1")
    monkeypatch.setattr(disk, "fsync", lambda _: None)

    def run(*words: object, code: int = 0) -> dict[str, Any]:
        capsys.readouterr()
        assert main_loop([str(word) for word in (*words, "--json")]) == code
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        return found

    return run
