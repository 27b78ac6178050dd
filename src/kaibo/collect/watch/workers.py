"""How many workers this process may use: what affinity and cgroup grant, unless told otherwise."""

from __future__ import annotations

import os
from pathlib import Path

from kaibo.errors import UsageError

MOST = 1024


def granted_workers(asked: int | None = None) -> int:
    """The number asked for, else `KAIBO_WORKERS`, else the cores that affinity and cgroup grant; at least one.

    Raises UsageError for a number that is not between 1 and 1024, naming where it came from.
    """
    if asked is not None:
        return _checked(str(asked), "--workers")
    if named := os.environ.get("KAIBO_WORKERS"):
        return _checked(named, "KAIBO_WORKERS")
    return max(1, min(_affinity(), _quota()))


def _checked(text: str, where: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= MOST:
        raise UsageError(f'{where} is "{text}"', next=f"give a whole number from 1 to {MOST}")
    return int(text)


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):  # macOS has none
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quota(file: Path = Path("/sys/fs/cgroup/cpu.max")) -> int:
    """The cores that the cgroup's quota allows, rounded up; no limit where there is none or it cannot be read."""
    try:
        quota, period = file.read_text().split()
        return max(1, -(-int(quota) // int(period)))
    except (OSError, ValueError, ZeroDivisionError):
        return MOST
