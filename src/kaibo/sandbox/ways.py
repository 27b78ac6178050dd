"""Which walls this machine can put up: bubblewrap, util-linux `unshare`, Landlock, or none."""

from __future__ import annotations

import functools
import glob
import os
import platform
import shutil
import sys
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kaibo.sandbox.inside.filter import MACHINES

DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom", "/dev/random")
LIBRARIES = ("/lib", "/lib64", "/lib32", "/usr/lib", "/usr/lib64", "/usr/lib32", "/etc/ld.so.cache", "/etc/localtime")
ZONES = ("/usr/share/zoneinfo",)
USERS = 1_879_048_192
"""First of the user numbers that root takes for its samples: far above all that are given to people and services."""


@dataclass(frozen=True)
class Way:
    """One kind of walls: its name, and the command line that goes before Python's."""

    name: str
    before: Callable[[list[str], list[str]], list[str]]

    @property
    def walled(self) -> bool:
        """Whether there are walls at all."""
        return self.name != "none"


def python() -> str:
    """The interpreter of this process, with no virtual environment around it."""
    return os.path.realpath(sys.executable)


@functools.cache
def readable(packages: tuple[str, ...] = ()) -> tuple[list[str], list[str]]:
    """What must be readable inside (the interpreter, its library, the system's) and which folders of it are hidden."""
    library = sysconfig.get_path("stdlib")
    base = Path(sys.base_prefix)
    shared = [str(each) for each in (*base.glob("lib/libpython*"), *base.glob("lib64/libpython*"))]
    own = [python(), library, *shared] if base != Path("/usr") else [python()]
    own += [path for path in ("/nix/store",) if python().startswith(path)]
    found = [path for path in (*LIBRARIES, *ZONES, *DEVICES, *own, *packages) if os.path.exists(path)]
    patterns = (f"{library}/*-packages", "/usr/lib*/python3*/*-packages", "/usr/lib/python3/*-packages")
    hidden = {path for pattern in patterns for path in glob.glob(pattern) if os.path.isdir(path)}
    return list(dict.fromkeys(found)), sorted(hidden - set(packages))


def _found(program: str) -> str:
    return shutil.which(program) or program


def _bubblewrap(paths: list[str], hidden: list[str]) -> list[str]:
    root = os.geteuid() == 0
    words = [_found("bwrap"), "--die-with-parent", "--new-session", "--unshare-pid", "--unshare-net", "--unshare-ipc"]
    words += ["--unshare-uts", "--unshare-cgroup-try", *([] if root else ["--unshare-user"])]
    for capability in ("CAP_SYS_ADMIN", *(("CAP_SETUID", "CAP_SETGID") if root else ())):
        words += ["--cap-add", capability]
    parents = {str(each): None for path in paths for each in reversed(Path(path).parents) if str(each) != "/"}
    for folder in (each for each in parents if not any(each == path or each.startswith(f"{path}/") for path in paths)):
        words += ["--perms", "0755", "--dir", folder]
    for path in paths:
        if path in DEVICES:
            words += ["--dev-bind", path, path]
        elif os.path.islink(path):
            words += ["--symlink", os.readlink(path), path]
        else:
            words += ["--ro-bind", path, path]
    for path in hidden:
        words += ["--size", "4096", "--tmpfs", path, "--remount-ro", path]
    return [*words, "--dir", "/tmp", "--chdir", "/", "--remount-ro", "/"]


def _unshare(_paths: list[str], _hidden: list[str]) -> list[str]:
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    return [
        _found("unshare"),
        *user,
        "--mount",
        "--pid",
        "--net",
        "--ipc",
        "--uts",
        "--cgroup",
        "--fork",
        "--kill-child",
    ]


def _bare(_paths: list[str], _hidden: list[str]) -> list[str]:
    return []


WAYS = {
    "bubblewrap": Way("bubblewrap", _bubblewrap),
    "unshare": Way("unshare", _unshare),
    "landlock": Way("landlock", _bare),
    "none": Way("none", _bare),
}
"""Every way, the strongest first."""


def why_not(way: str) -> str | None:
    """Why a way is out of the question here, as far as can be told without trying it; None where it may work."""
    if platform.system() != "Linux" or platform.machine() not in MACHINES:
        return f"samples can be walled in on Linux for {' and '.join(MACHINES)} only"
    program = {"bubblewrap": "bwrap", "unshare": "unshare"}.get(way)
    if program is not None and shutil.which(program) is None:
        return f"the program {program} is not installed"
    if way == "landlock" and os.geteuid() == 0:
        return "Landlock alone does not hold root; run kaibo as another user"
    return None


def stage(paths: list[str]) -> str:
    """A folder on which a new root can be built: it holds nothing that must be readable inside."""
    places = [each for each in ("/mnt", "/media", "/srv", "/run", "/var", "/tmp", "/opt") if os.path.isdir(each)]
    return next(each for each in places if not any(path.startswith(each + "/") for path in paths))
