"""One run is one process with limits, forked from a parent that has all loaded; what it did is judged outside."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from inputs import FILES, NUMBERS, WORDS
from lines import Case

SECONDS = 60
"""Of a processor, for a run; three times that by the clock."""

ROOM = 3 << 30
"""Of address space, over what the parent has."""

MEMORY = 1 << 30
"""Of memory that a run may touch, over what the parent has."""

OURS = (2, 3, 4, 5, 6, 7, 8)
"""The exit codes of errors of ours; 0 is a right answer, 1 one that something was found."""


@dataclass(frozen=True)
class Outcome:
    """What a run did: its code (a signal below 0), its time and memory, and what is not as promised, else ''."""

    code: int
    seconds: float
    memory: int
    fault: str
    said: str


def value(case: Case, folder: Path) -> str:
    """What stands in the place of the case; files are made in the folder."""
    if not case.input.startswith("word: "):
        return FILES[case.input][1](folder)
    called = case.input.removeprefix("word: ")
    return WORDS.get(called) if called in WORDS else next((text for text in NUMBERS if text[:20] == called), called)  # type: ignore[return-value]


def run(case: Case, world: Path, scratch: Path) -> Outcome:
    """Runs a case in a folder of its own beside a world of examples that it may read."""
    shutil.rmtree(scratch, ignore_errors=True)
    given, here = scratch / "given", scratch / "here"
    given.mkdir(parents=True)
    here.mkdir()
    shutil.copytree(world / "store", here / "store")
    named = len(case.command.split())
    line = [
        *case.line[:named],
        *(str(world / token) if (world / token).exists() else token for token in case.line[named:]),
    ]
    line[case.at] = value(case, given)
    before = listed(given)
    start = time.monotonic()
    child = os.fork()
    if child == 0:
        _become(line, here)
    code, used = _waited(child, start)
    memory = max(0, used.ru_maxrss - _peak()) * 1024
    said = (scratch / "stderr").read_text("utf-8", "replace")
    fault = judged(code, said, memory) or traces(before, given, here, code)
    if fault and case.place == "--store" and fault.startswith("left behind"):
        fault = ""
    return Outcome(code, round(used.ru_utime + used.ru_stime, 3), memory, fault, said[-400:])


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _become(line: list[str], here: Path) -> None:
    """The child: limits, a folder of its own, the command, and no way back."""
    code = 99
    try:
        os.setsid()
        os.chdir(here)
        for at, name in enumerate(("/dev/null", "../stdout", "../stderr")):
            opened = os.open(name, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
            os.dup2(opened, at)
        size = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGESIZE")
        resource.setrlimit(resource.RLIMIT_AS, (size + ROOM, size + ROOM))
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 5))
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 30, 1 << 30))
        os.environ.update(KAIBO_STORE="store", HOME=str(here), COLUMNS="100", KAIBO_WORKERS="1")
        from kaibo.cli import main_loop

        sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")  # noqa: SIM115 - they live as long as the child
        code = main_loop(line)
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException as error:
        with contextlib.suppress(BaseException):
            os.write(2, f"Traceback: {type(error).__name__}: {error}".encode("utf-8", "replace"))
    finally:
        os._exit(code)


def _waited(child: int, start: float) -> tuple[int, resource.struct_rusage]:
    """The end of a child, which is brought about where it does not come by itself."""
    while True:
        done, status, used = os.wait4(child, os.WNOHANG)
        if done:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(child, signal.SIGKILL)  # what it started, if anything still lives
            return os.waitstatus_to_exitcode(status), used
        if time.monotonic() - start > 3 * SECONDS:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.002)


def judged(code: int, said: str, memory: int) -> str:
    """What is not as promised in how a run ended, '' where all is."""
    lines = said.splitlines()
    if code < 0:
        return f"ended by {signal.Signals(-code).name}"
    if "Traceback" in said or code in (70, 99):
        return f"an error of another's, exit {code}"
    if code not in (0, 1, *OURS):
        return f"exit {code}"
    if strange := [line for line in lines if not line.startswith("kaibo: ")]:
        return f"a line that is not kaibo's: {strange[0][:120]}"
    if code in OURS and not [line for line in lines if not line.startswith("kaibo: note: ")]:
        return f"exit {code} without a word"
    if not all(line.isprintable() for line in lines):
        return "control characters on stderr"
    if any(len(line) > 6000 for line in lines):
        return "a line of more than 6,000 characters"
    return f"{memory >> 20} MB of memory" if memory > MEMORY else ""


def traces(before: dict[str, tuple[int, int]], given: Path, here: Path, code: int) -> str:
    """What is not as promised in what a run left: an input that changed, something half done."""
    after = listed(given)
    if changed := [name for name, seen in before.items() if after.get(name) != seen]:
        return f"changed its input: {changed[0]}"
    new = [name for name in after if name not in before]
    left = [name for name in (*new, *listed(here)) if name.endswith((".tmp", ".part"))]
    outside = [name for name in new if "store" not in name.split(os.sep)]
    outside += [name for name in listed(here) if not name.startswith("store" + os.sep)]
    if code in OURS and code != 8:
        left += outside
    return f"left behind: {left[0]}" if left else ""


def listed(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file below a folder with its size and the time of its last change."""
    found = {}
    for path in folder.rglob("*"):
        if not path.is_dir() or path.is_symlink():
            seen = path.lstat()
            found[str(path.relative_to(folder))] = (seen.st_size, seen.st_mtime_ns)
    return found
