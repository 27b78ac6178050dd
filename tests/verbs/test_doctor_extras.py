"""`kaibo doctor` knows every extra that the package declares, and what belongs to it."""

from __future__ import annotations

import tomllib
from pathlib import Path

from kaibo.chapters.doctor.ask import EXTRAS


def test_every_extra_that_users_can_install_is_looked_at() -> None:
    text = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    declared = tomllib.loads(text)["project"]["optional-dependencies"]
    wanted = {
        extra: {line.partition(">")[0] for line in lines if not line.startswith("kaibo[")}
        for extra, lines in declared.items()
        if extra not in ("dev", "docs")  # those are for developers
    }
    assert {extra: set(packages) for extra, packages in EXTRAS.items()} == wanted
