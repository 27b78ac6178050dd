from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

from made import Made

# A loaded machine is slow, not wrong.
settings.register_profile("kaibo", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("kaibo")

collect_ignore_glob = ["conftest.py", "*/conftest.py"]  # no doctests in them, and several files of one name


@pytest.fixture(autouse=True)
def _no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is printed in a test goes to a pipe, however the tests themselves are run."""
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The demo models: a base, fine-tunes and adapters of it, each built when it is first asked for."""
    return Made(tmp_path_factory.mktemp("made"))
