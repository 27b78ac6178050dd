"""Programs that try to reach out of their process, to use up the machine, or to read what they must not."""

import os
import resource
import time
from pathlib import Path

import pytest
from sandboxed import PROBES, RIGHT, SHORT, Around, problem_of

from kaibo.errors import PolicyError
from kaibo.sandbox import VERDICTS, Desk, Way, chosen

CHECK = """
MARK = "EXPECTED-MARK"
def check(candidate):
    assert candidate(41) == 42, MARK
"""
SLOW = ("time", "memory", "disk", "output", "processes")


def children() -> set[str]:
    """Processes whose parent is this one, or that run a program of the sandbox."""
    found = set()
    for folder in Path("/proc").iterdir():
        try:
            words = (folder / "stat").read_text().rpartition(")")[2].split() if folder.name.isdecimal() else []
            if words and words[0] != "Z" and int(words[1]) == os.getpid():
                found.add(folder.name)
        except OSError:
            pass
    return found


@pytest.mark.parametrize(
    "probe",
    [pytest.param(each, id=each["name"], marks=[pytest.mark.slow] if each["class"] in SLOW else []) for each in PROBES],
)
def test_a_probe_has_no_effect_outside_and_never_passes(probe: dict, way: Way, around: Around, tmp_path: Path) -> None:
    problem = problem_of(tmp_path, prompt="", entry_point="answer", test=CHECK)
    before, limits = children(), resource.getrlimit(resource.RLIMIT_NOFILE)
    with Desk(problem, way, SHORT) as desk:
        begun = time.monotonic()
        found = desk.judge(around.fill(probe["code"]))
        spent = time.monotonic() - begun
        after = desk.judge(RIGHT)
    assert found.verdict in probe.get("verdicts", set(VERDICTS) - {"passed"}), found
    assert after.verdict == "passed", "the next sample noticed"
    assert around.effects() == []
    assert children() <= before, "a process was left"
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == limits
    assert not [place for place in ("/", "/etc", "/tmp", "/dev") if (Path(place) / "kaibo-probe").exists()]
    assert spent < 60, "longer than its limits allow"
    if probe.get("leak"):
        assert found.verdict in ("error", "timeout"), f"it found something: {found}"


def test_there_are_at_least_sixty_probes() -> None:
    assert len(PROBES) >= 60
    assert len({each["name"] for each in PROBES}) == len(PROBES)


def test_where_no_walls_stand_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kaibo.sandbox.choosing._standing", lambda name: f"{name} is not here")
    with pytest.raises(PolicyError, match="no sandbox stands") as refused:
        chosen()
    assert refused.value.exit == 7
    assert chosen(accept_unsandboxed=True).name == "none"
