"""One small problem in each form, the probes and the tricks, and a machine around a sample that notices effects."""

import contextlib
import json
import os
import socket
import tomllib
from dataclasses import dataclass
from pathlib import Path

from kaibo.sandbox import Limits, Problem, problems

HERE = Path(__file__).parent
PROBES = tomllib.loads((HERE / "probes.toml").read_text("utf-8"))["probe"]
TRICKS = tomllib.loads((HERE / "tricks.toml").read_text("utf-8"))["trick"]
SHORT = Limits(seconds=1.5)
RIGHT = "def answer(x):\n    return x + 1\n"

CHECK = """
MARK = "EXPECTED-MARK"
def check(candidate):
    assert candidate(0) == 1
    assert candidate(-1) == 0
    assert abs(candidate(1.5) - 2.5) < 1e-6
    for value in range(5):
        assert candidate(value) == answer(value), MARK
"""

FORMS = {
    "check": {"prompt": "", "entry_point": "answer", "canonical_solution": RIGHT, "test": CHECK},
    "asserts": {"test_list": ["assert answer(0) == 1", "assert answer(-1) == 0", "assert answer(41) in [42, 43]"]},
    "pairs": {"prompt": "", "entry_point": "answer", "pairs": [[[0], 1], [[-1], 0], [[1.5], 2.5]]},
    "evalplus": {
        "prompt": "",
        "entry_point": "answer",
        "canonical_solution": RIGHT,
        "base_input": [[0], [-1]],
        "plus_input": [[1.5], [10**30]],
        "atol": 0,
    },
}


def problem_of(folder: Path, **fields: object) -> Problem:
    file = folder / "problem.jsonl"
    file.write_text(json.dumps({"task_id": "T/0", **fields}) + "\n")
    return problems(file)["T/0"]


@dataclass
class Around:
    """What stands around a sample: a folder and two listening sockets that nobody inside may reach."""

    canary: Path
    tcp: socket.socket
    udp: socket.socket
    unix: socket.socket
    abstract: socket.socket

    def fill(self, code: str) -> str:
        places = {"PORT": self.tcp.getsockname()[1], "SOCKET": self.canary / "socket", "PID": os.getpid()}
        for word, value in {"CANARY": self.canary, **places}.items():
            code = code.replace(word, str(value))
        return code

    def effects(self) -> list[str]:
        """What came through: files that were made, bytes that arrived."""
        found = sorted(each.name for each in self.canary.iterdir() if each.name not in ("secret", "socket"))
        for each in (self.tcp, self.udp, self.unix, self.abstract):
            with contextlib.suppress(BlockingIOError):
                found.append(str(each.accept() if each.type == socket.SOCK_STREAM else each.recv(10)))
        return found
