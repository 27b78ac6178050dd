"""Put up the walls around this process, before any stranger's code is read. Called once, first; never undone.

Which walls depends on `plan["way"]`:

    bubblewrap   the namespaces and the root are there already; /tmp is bounded here
    unshare      the namespaces are there; the root is built and entered here
    landlock     no namespaces: the kernel is told which files may be read, and that none may be written
    none         none of these; limits and the filter alone (said by `--i-accept-unsandboxed`)

and then, whatever the way: limits, another user where kaibo runs as root, no capabilities, the filter of system calls.
"""

import ctypes
import os
import resource
import signal
import struct
from typing import Any

from kaibo.sandbox.inside.filter import program

NOSUID, NODEV, NOEXEC, RDONLY, REMOUNT, BIND, REC, PRIVATE = 2, 4, 8, 1, 32, 4096, 16384, 1 << 18
PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
LANDLOCK = 444  # create_ruleset, add_rule, restrict_self: one number on all machines
NEW_USER = 0x10000000

_libc = ctypes.CDLL(None, use_errno=True)


def put_up(plan: dict[str, Any]) -> None:
    """Put up every wall of the plan. Raises OSError where one of them could not be put up."""
    os.umask(0o022)
    if plan["way"] == "unshare":
        _enter_root(plan)
    if plan["way"] in ("bubblewrap", "unshare"):
        _bounded_tmp(plan)
        os.chdir("/tmp")
    os.umask(0o077)
    _bounds(plan)
    _prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: when kaibo ends, so does this
    _another_user(plan["user"])
    _no_capabilities()
    if plan["way"] == "landlock":
        _landlock(plan["readable"])
    _filtered(plan["machine"])
    os.environ.clear()


def _checked(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def _prctl(*given: int) -> None:
    _checked(_libc.prctl(*(ctypes.c_ulong(each) for each in (*given, 0, 0, 0, 0)[:5])), f"prctl {given[0]}")


def _mount(source: str | None, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    texts = [None if each is None else os.fsencode(each) for each in (source, target, kind, data)]
    _checked(_libc.mount(texts[0], texts[1], texts[2], ctypes.c_ulong(flags), texts[3]), f"mount {target}")


def _enter_root(plan: dict[str, Any]) -> None:
    """A root that holds what Python needs, read-only, and nothing else; the old root is let go."""
    _mount(None, "/", None, REC | PRIVATE)
    _mount("none", plan["stage"], "tmpfs", NOSUID | NODEV, "size=1m,nr_inodes=4096,mode=755")
    for path in plan["readable"]:
        _bound(path, plan["stage"] + path)
    for path in plan["hidden"]:
        _mount("none", plan["stage"] + path, "tmpfs", NOSUID | NODEV | RDONLY, "size=4k,nr_inodes=2")
    for path in ("/tmp", "/old"):
        os.makedirs(plan["stage"] + path, exist_ok=True)
    here, old = os.fsencode(plan["stage"]), os.fsencode(plan["stage"] + "/old")
    _checked(_libc.syscall(PIVOT_ROOT[plan["machine"]], here, old), "pivot_root")
    os.chdir("/")
    _checked(_libc.umount2(b"/old", 2), "umount2")
    os.rmdir("/old")
    _mount(None, "/", None, REMOUNT | BIND | RDONLY | NOSUID | NODEV)


def _bound(path: str, target: str) -> None:
    if os.path.islink(path) and not path.startswith("/dev/"):
        os.makedirs(os.path.dirname(target), 0o755, exist_ok=True)
        if not os.path.lexists(target):
            os.symlink(os.readlink(path), target)
        return
    os.makedirs(target if os.path.isdir(path) else os.path.dirname(target), 0o755, exist_ok=True)
    if not os.path.isdir(path):
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o644))
    _mount(path, target, None, BIND | REC)
    kept = os.statvfs(target).f_flag & (NOSUID | NODEV | NOEXEC)  # flags of the mount that a namespace may not drop
    device = 0 if path.startswith("/dev/") else NODEV
    _mount(None, target, None, REMOUNT | BIND | RDONLY | NOSUID | device | kept)


def _bounded_tmp(plan: dict[str, Any]) -> None:
    bounds = f"size={plan['folder_bytes']},nr_inodes={plan['files']},mode=1777"
    _mount("none", "/tmp", "tmpfs", NOSUID | NODEV | NOEXEC, bounds)


def _bounds(plan: dict[str, Any]) -> None:
    for name, most in plan["bounds"].items():
        number = getattr(resource, name)
        hard = resource.getrlimit(number)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(number, (most, most))


def _another_user(user: int | None) -> None:
    """Root lays its number down: limits on processes do not hold root, and files may still be its own."""
    if user is None:
        return
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    _libc.unshare(NEW_USER)  # one namespace more where the kernel grants it
    _prctl(1, signal.SIGKILL)  # changing the user cleared it


def _no_capabilities() -> None:
    _prctl(38, 1)  # PR_SET_NO_NEW_PRIVS
    header, data = struct.pack("=Ii", 0x20080522, 0), bytes(24)
    _checked(_libc.capset(header, data), "capset")
    _prctl(4, 0)  # PR_SET_DUMPABLE: not traced, not read through /proc, no core file


def _landlock(readable: list[str]) -> None:
    version = _checked(_libc.syscall(LANDLOCK, None, ctypes.c_size_t(0), 1), "landlock")
    known = {1: 13, 2: 14, 3: 15, 4: 15}.get(version, 16)
    rights, scopes = (1 << known) - 1, 3 if version >= 6 else 0  # abstract sockets and signals stay inside
    attributes = struct.pack("=QQQ", rights, 3 if version >= 4 else 0, scopes)
    size = 8 if version < 4 else 16 if version < 6 else 24
    ruleset = _checked(_libc.syscall(LANDLOCK, attributes, ctypes.c_size_t(size), 0), "landlock_create_ruleset")
    for path in readable:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        granted = 1 << 2 | (1 << 3 if os.path.isdir(path) else 0)  # read a file, list a folder
        rule = struct.pack("=Qi", granted, place)
        _checked(_libc.syscall(LANDLOCK + 1, ruleset, 1, rule, 0), "landlock_add_rule")
        os.close(place)
    _checked(_libc.syscall(LANDLOCK + 2, ruleset, 0), "landlock_restrict_self")
    os.close(ruleset)


def _filtered(machine: str) -> None:
    lines = program(os.getpid(), machine)
    if lines is None:
        raise OSError(f"no filter of system calls for {machine}")
    held = ctypes.create_string_buffer(lines, len(lines))
    whole = struct.pack("@HP", len(lines) // 8, ctypes.addressof(held))
    _checked(_libc.prctl(ctypes.c_ulong(22), ctypes.c_ulong(2), whole, ctypes.c_ulong(0), ctypes.c_ulong(0)), "seccomp")
