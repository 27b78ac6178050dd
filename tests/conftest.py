from __future__ import annotations

import pytest

from made import Made


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The demo models: a base, fine-tunes and adapters of it, each built when it is first asked for."""
    return Made(tmp_path_factory.mktemp("made"))
