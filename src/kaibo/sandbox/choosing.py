"""Choose the strongest walls that stand on this machine, and prove them with three probes."""

from __future__ import annotations

import functools

from kaibo.errors import PolicyError, UsageError
from kaibo.sandbox.boxed import EndedError, started
from kaibo.sandbox.inside.plain import read, written
from kaibo.sandbox.limits import Limits
from kaibo.sandbox.ways import WAYS, Way, why_not

PROBES = {
    "a file of the user's": """
import os
def probe():
    found = []
    for path in ("/etc/passwd", "/proc/self/environ", "/root", "/home", "/sys"):
        try:
            found += [path] if os.path.isfile(path) and open(path).read(1) else os.listdir(path)
        except OSError:
            pass
    return [each for each in found if "python" not in each and not each.startswith(".")]
""",
    "a connection": """
import socket
def probe():
    found = []
    for family in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX):
        try:
            found.append(str(socket.socket(family)))
        except OSError:
            pass
    return found
""",
    "a program of its own": """
import os
def probe():
    found = []
    for start in (os.fork, lambda: os.posix_spawn("/bin/true", ["true"], {}), lambda: os.execv("/bin/true", ["true"])):
        try:
            if start() == 0:
                os._exit(0)
            found.append("started")
        except OSError:
            pass
    return found
""",
}
"""What a sample tries to reach: each gives the list of what it reached, which must be empty."""


def proven(way: Way) -> dict[str, str]:
    """What each probe reached behind these walls, by its name; nothing is reached where walls hold."""
    reached = {}
    for name, code in PROBES.items():
        with started("sample", way, Limits()) as sample:
            try:
                sample.say("load", written(code))
                word, text = sample.hear(Limits().seconds)
                if word == "value":
                    sample.say("ask", written(("name", "probe", (), {})))
                    word, text = sample.hear(Limits().seconds)
            except EndedError as ended:
                word, text = ended.verdict, ended.why
        found = read(text)[0] if word == "value" else [text]
        if found:
            reached[name] = str(found)[:200]
    return reached


@functools.cache
def _standing(name: str) -> str | None:
    """Why a way does not stand here, found by trying it; None where it does and its probes reach nothing."""
    if (why := why_not(name)) is not None:
        return why
    try:
        reached = proven(WAYS[name])
    except PolicyError as error:
        return error.message
    return None if not reached else "; ".join(f"a sample reached {what}: {found}" for what, found in reached.items())


def chosen(name: str | None = None, *, accept_unsandboxed: bool = False) -> Way:
    """The walls that samples run behind: the named ones, or the strongest that stand here.

    Raises PolicyError where none stands, unless `accept_unsandboxed`: then the way is "none", and says so on each row.
    """
    if name is not None and name not in WAYS:
        raise UsageError(f"no sandbox is named {name}", next=f"known are {', '.join(WAYS)}")
    tried = {way: _standing(way) for way in ([name] if name else WAYS) if way != "none"}
    standing = next((way for way, why in tried.items() if why is None), None)
    if standing is not None:
        return WAYS[standing]
    if accept_unsandboxed:
        return WAYS["none"]
    whys = "; ".join(f"{way}: {why}" for way, why in tried.items())
    raise PolicyError(
        f"no sandbox stands on this machine ({whys})",
        next="install bubblewrap, or pass --i-accept-unsandboxed to run code from a model with your own rights",
    )
