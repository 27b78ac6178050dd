"""What a sample may use, and what can become of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from kaibo.errors import UsageError

VERSION = 1
"""Raised when a verdict could come out otherwise than before: it is part of the key of what the store keeps."""

VERDICTS = ("passed", "wrong", "error", "timeout", "memory", "output", "killed")


@dataclass(frozen=True)
class Limits:
    """Bounds of one sample, from its first line to its last value.

    `seconds` is time on the clock while the sample itself works; `megabytes` the address space of its process;
    `printed` and `answers` bytes of what it prints and of one value that it gives back; `folder` and `files` bytes and
    number of files of its private /tmp; `threads` threads beside its first.
    """

    seconds: float = 5.0
    megabytes: int = 512
    printed: int = 1 << 20
    answers: int = 4 << 20
    folder: int = 16 << 20
    files: int = 1024
    threads: int = 32

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not 0 < value < 1 << 40:
                raise UsageError(f"the limit {name} must be above 0, got {value}")
        if self.megabytes < 64:
            raise UsageError(f"the limit of memory must be at least 64 MB, got {self.megabytes}")

    @property
    def key(self) -> str:
        """One text for these limits: part of the key of a verdict."""
        return ",".join(f"{name}={value:g}" for name, value in asdict(self).items())

    def bounds(self) -> dict[str, int]:
        """The same as the kernel's limits, by the names of the module `resource`."""
        return {
            "RLIMIT_AS": self.megabytes << 20,
            "RLIMIT_CPU": int(self.seconds) + 2,
            "RLIMIT_FSIZE": self.folder,
            "RLIMIT_NOFILE": 64,
            "RLIMIT_NPROC": self.threads + 1,
            "RLIMIT_CORE": 0,
            "RLIMIT_MEMLOCK": 0,
            "RLIMIT_MSGQUEUE": 0,
            "RLIMIT_SIGPENDING": 64,
        }


@dataclass(frozen=True)
class Judged:
    """What became of one sample: the verdict, why in a few words, and how long its own code ran."""

    verdict: str
    why: str
    seconds: float
    sandbox: str
