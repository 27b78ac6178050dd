"""The walls of this machine, a small problem in each form, and a machine around a sample that notices effects."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from sandboxed import FORMS, Around, problem_of

from kaibo.errors import PolicyError
from kaibo.sandbox import Problem, Way, chosen


@pytest.fixture(scope="session")
def way() -> Way:
    try:
        return chosen()
    except PolicyError as error:
        pytest.skip(error.message)


@pytest.fixture(params=FORMS)
def problem(request: pytest.FixtureRequest, tmp_path: Path) -> Problem:
    return problem_of(tmp_path, **FORMS[request.param])


@pytest.fixture
def around(tmp_path: Path) -> Iterator[Around]:
    canary = tmp_path / "canary"
    canary.mkdir()
    canary.chmod(0o777)
    (canary / "secret").write_text("secret")
    kinds = (
        (socket.AF_INET, socket.SOCK_STREAM),
        (socket.AF_INET, socket.SOCK_DGRAM),
        (socket.AF_UNIX, socket.SOCK_STREAM),
    )
    tcp, udp, unix = (socket.socket(*kind) for kind in kinds)
    abstract = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    tcp.bind(("127.0.0.1", 0))
    udp.bind(tcp.getsockname())
    unix.bind(os.path.relpath(canary / "socket"))
    abstract.bind("\0kaibo-probe")
    for each in (tcp, unix):
        each.listen()
    for each in (tcp, udp, unix, abstract):
        each.setblocking(False)
    yield Around(canary, tcp, udp, unix, abstract)
    for each in (tcp, udp, unix, abstract):
        each.close()
