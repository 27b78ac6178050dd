"""A command's shards as tasks of a Ray cluster: each runs in a process and a store of its own, and sends its parts.

    driver ──▶ task i: `kaibo COMMAND … --shard i/n --store OWN` ──▶ parts ──▶ driver: store merge, then the answer

A task may run twice: rows are keyed, and the same row twice is one. What came back lies beside the store until all is
there, so a driver that was killed goes on where it was. Nothing else of kaibo knows Ray.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import uuid4

from kaibo.collect.watch.progress import Progress, quiet
from kaibo.collect.watch.stopping import Stopping
from kaibo.collect.watch.workers import granted_workers
from kaibo.errors import NetworkError, PolicyError, missing_extra
from kaibo.store import Store
from kaibo.store.disk import make_folder
from kaibo.version import __version__

PACKAGE = Path(__file__).resolve().parents[1]
TRIES = 4
"""How often a task is begun at most, where its worker or node dies."""

PATIENCE = 10.0
"""Seconds that a cluster has to answer at all."""

UNDONE = frozenset({6, 70, 130, 143})
"""Exit codes of a shard that did not do its part: no place to write, a fault, a signal. Others tell of the models."""

ALONE = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_worker_niceness": "0",
}
"""A cluster that is started here listens on the loopback interface alone, reports to nobody and works as hard as we."""


@dataclass(frozen=True)
class Cluster:
    """Where tasks run: the cluster at an address, else one of this machine alone, for as long as it is needed.

    `workers` is how many shards there are (default: as many as the cluster has CPUs, or GPUs where each wants one).
    """

    address: str | None = None
    workers: int | None = None
    gpu: bool = False


def here() -> str:
    """Which kaibo this is: its version, and a hash of its code.

    >>> here().startswith(__version__)
    True
    """
    digest = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*.py")):
        digest.update(f"{path.relative_to(PACKAGE)}\0".encode() + path.read_bytes() + b"\0")
    return f"{__version__} ({digest.hexdigest()[:12]})"


def spread(
    arguments: Sequence[str], store: Store, cluster: Cluster, progress: Progress = quiet, *, twice: bool = False
) -> list[str]:
    """Has the shards of a command line done on a cluster and puts their parts into a store; says what went wrong.

    A shard that could not be done is no error of the whole: what is missing then is measured by whoever asks for it.
    With `twice` all shards are given once more where the workers see the store: for what follows from all parts of the
    first pass. Raises MissingError without Ray, NetworkError where no cluster answers, PolicyError where another kaibo
    runs on a node, StoppedError after a signal.
    """
    with _connected(cluster) as ray:
        count = cluster.workers or max(1, int(ray.cluster_resources().get("GPU" if cluster.gpu else "CPU", 1)))
        said, near = _pass(ray, arguments, store, cluster.gpu, count, progress)
        if twice and near and not said:
            said, _ = _pass(ray, arguments, store, cluster.gpu, count, progress)
    return said


@contextmanager
def _connected(cluster: Cluster) -> Iterator[Any]:
    """Ray, connected to the cluster; one that was started for this ends with it."""
    local = cluster.address is None
    os.environ.update(ALONE if local else {})  # Ray looks at it once, when it is imported
    if cluster.address is not None:
        _check_answers(cluster.address)
    try:
        import ray
    except ModuleNotFoundError as absent:
        raise missing_extra("ray", "tasks on a cluster (--engine ray)") from absent
    ending = signal.getsignal(signal.SIGTERM)  # Ray takes it for itself, and keeps it
    wanted: dict[str, Any] = {"address": "local" if local else cluster.address}
    if local:
        wanted |= {"num_cpus": granted_workers(cluster.workers), "include_dashboard": False}
    try:
        with redirect_stdout(StringIO()):  # it tells of tasks that it tries again; stdout is the answer's
            with redirect_stderr(StringIO()):  # and of tokens and dashboards
                ray.init(**wanted, log_to_driver=False, logging_level="ERROR", configure_logging=False)
            yield ray
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        said = " ".join(str(error).split())[:200]
        message = f"the Ray cluster cannot be reached ({said})"
        raise NetworkError(message, file=cluster.address or "this machine", next="is it running? ray status") from error
    finally:
        ray.shutdown()
        signal.signal(signal.SIGTERM, ending)


def _check_answers(address: str) -> None:
    """Raises NetworkError where nobody listens at `host:port`; Ray itself asks for minutes."""
    found = re.fullmatch(r"(?:ray://)?\[?([^/]+?)\]?:([0-9]{1,5})", address)
    if found is None:  # auto, local, or a name that Ray knows
        return
    try:
        socket.create_connection((found[1], int(found[2])), timeout=PATIENCE).close()
    except (OSError, OverflowError) as error:
        said = getattr(error, "strerror", None) or str(error)
        message = f"no Ray cluster answers there ({said})"
        raise NetworkError(message, file=address, next="is it running? ray status") from error


def _pass(
    ray: Any, arguments: Sequence[str], store: Store, gpu: bool, count: int, progress: Progress
) -> tuple[list[str], bool]:
    """All shards once; what went wrong, and whether every worker saw the store."""
    given = {"arguments": list(arguments), "folder": os.getcwd(), "count": count, "kaibo": here()}
    kept = _Kept(store, given, count)
    given |= {"store": str(store.path.absolute()), "token": str(kept.token)}
    resources = {"num_gpus": 1} if gpu else {"num_cpus": 1}
    task = ray.remote(**resources, max_retries=TRIES - 1, retry_exceptions=[ChildDiedError])(_share)
    missing = kept.missing()
    progress.begin("shares on Ray", len(missing), "shares")
    waiting = {task.remote(given, index): index for index in missing}
    said: dict[str, None] = {}
    far = False
    with Stopping() as stopping:
        while waiting:
            done, _ = ray.wait(list(waiting), timeout=0.5)
            for one in done:
                index = waiting.pop(one)
                try:
                    sent = ray.get(one)
                except (ray.exceptions.RayError, ChildDiedError) as error:
                    sent = Sent(died=_last_line(str(error)) or type(error).__name__)
                if sent.other is not None:
                    kept.clear()
                    raise PolicyError(
                        f"kaibo {sent.other} runs on a node, {given['kaibo']} here: its numbers may be others",
                        next="install the same kaibo on every node",
                    )
                said |= dict.fromkeys([] if sent.line is None else [f"share {index}/{count}: {sent.line}"])
                far = far or not sent.near
                if sent.died is None:
                    kept.put(index, sent.files)
                progress.advance(1)
            stopping.check()
    kept.settle()
    return list(said), not far


def _last_line(text: str) -> str:
    return next((line for line in reversed(text.strip().splitlines()) if line.strip()), "")[:300]


@dataclass(frozen=True)
class Sent:
    """What a task sends back: the files that a shard wrote, whether it saw the driver's store, what went wrong.

    `died` says why the shard is not done, `problem` what it said of models that cannot be read, `other` which other
    kaibo runs on its node.
    """

    files: Mapping[str, bytes] = field(default_factory=dict)
    near: bool = False
    problem: str | None = None
    died: str | None = None
    other: str | None = None

    @property
    def line(self) -> str | None:
        """What is told of it."""
        return self.problem if self.died is None else f"was not done on the cluster ({self.died}); it is measured here"


class ChildDiedError(Exception):
    """A shard's process was killed: the task is given again."""


def _share(given: dict[str, Any], index: int) -> Sent:
    """One shard, in a process of its own and into a store of its own, which begins with what the driver's has."""
    if given["kaibo"] != here():
        return Sent(other=here())
    if not os.path.isdir(given["folder"]):
        return Sent(died=f"{given['folder']} is not on the node")
    token = Path(given["token"])
    near = token.is_file()
    with tempfile.TemporaryDirectory(prefix="share-", dir=token.parent if near else None) as scratch:
        own = Store(Path(scratch) / "store")
        lent = Store(given["store"]).parts.lend(own.parts) if near else frozenset()
        part = [
            "--shard",
            f"{index}/{given['count']}",
            "--store",
            str(own.path),
            "--workers",
            "1",
            "--engine",
            "threads",
        ]
        ran = subprocess.run(
            [sys.executable, "-m", "kaibo", *_with(given["arguments"], part)],
            cwd=given["folder"],
            env={**os.environ, "PYTHONPATH": _path(), "PYTHONSAFEPATH": "1"},
            capture_output=True,
            check=False,
        )
        if ran.returncode < 0:
            raise ChildDiedError(f"its process was killed by signal {-ran.returncode}")
        said = _last_line(ran.stderr.decode("utf-8", "replace")).removeprefix("kaibo: ") if ran.returncode else None
        return Sent(own.parts.files(lent), near, said, said if ran.returncode in UNDONE else None)


def _path() -> str:
    """Where a process finds this kaibo first."""
    return os.pathsep.join([str(PACKAGE.parent), *filter(None, [os.environ.get("PYTHONPATH")])])


def _with(arguments: Sequence[str], options: Sequence[str]) -> list[str]:
    """A command line with further options, which win over what it says: before `--`, after which none are read."""
    at = arguments.index("--") if "--" in arguments else len(arguments)
    return [*arguments[:at], *options, *arguments[at:]]


class _Kept:
    """The shares that came back, a store each, in a folder beside the store that they are for."""

    def __init__(self, store: Store, given: Mapping[str, Any], count: int) -> None:
        key = hashlib.sha256(json.dumps(given, sort_keys=True).encode()).hexdigest()[:16]
        self._store, self._count = store, count
        self._folder = store.path.absolute().with_name(f"{store.path.name}-shares") / key
        self.token = self._folder / f"driver-{uuid4().hex}"
        make_folder(self._folder)
        for old in self._folder.glob("driver-*"):
            old.unlink(missing_ok=True)
        self.token.touch()

    def _of(self, index: int) -> Path:
        return self._folder / f"{index}-of-{self._count}"

    def missing(self) -> list[int]:
        """The shards that are still to be done."""
        return [index for index in range(self._count) if not self._of(index).is_dir()]

    def put(self, index: int, files: Mapping[str, bytes]) -> None:
        """Keeps what a shard sent; it counts once all of it is there."""
        begun = self._folder / f"{index}.tmp"
        shutil.rmtree(begun, ignore_errors=True)
        Store(begun).parts.adopt(files)
        shutil.rmtree(self._of(index), ignore_errors=True)
        os.replace(begun, self._of(index))

    def settle(self) -> None:
        """Puts all of them into the store, and forgets them."""
        done = [Store(self._of(index)) for index in range(self._count) if self._of(index).is_dir()]
        if done:
            self._store.merge(done)
        self.clear()

    def clear(self) -> None:
        """Forgets them."""
        shutil.rmtree(self._folder, ignore_errors=True)
        with suppress(OSError):  # shares of another command lie there
            self._folder.parent.rmdir()
