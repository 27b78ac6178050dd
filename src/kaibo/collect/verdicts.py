"""What becomes of samples: those that the store knows are looked up, the rest run behind walls and are kept."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from kaibo.collect.censuses import FLUSH_SECONDS
from kaibo.collect.shards import Shard, Share
from kaibo.collect.watch.progress import Progress, quiet
from kaibo.collect.watch.stopping import Stopping
from kaibo.errors import FormatError, KaiboError
from kaibo.sandbox import VERSION, Desk, Judged, Limits, Problem, Way
from kaibo.store import Store

AT_ONCE = 32
"""Samples of one problem that a worker takes at a time, with one desk."""


@dataclass(frozen=True)
class Judging:
    """Behind which walls and within which limits samples run, and where their verdicts are kept."""

    way: Way
    limits: Limits
    store: Store
    workers: int = 1
    progress: Progress = quiet

    @property
    def settings(self) -> str:
        """What decides a verdict beside the problem, the code and the version: part of its key in the store."""
        return f"{self.way.name};{self.limits.key}"


@dataclass(frozen=True)
class Piece:
    """Programs of one problem, by the hashes of their text."""

    problem: Problem
    programs: dict[str, str]


@dataclass
class _Kept:
    """Verdicts: together here, and on their way to the store."""

    how: Judging
    found: dict[tuple[str, str], Judged]
    stop: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _pending: list[dict[str, object]] = field(default_factory=list)
    _since: float = field(default_factory=time.monotonic)

    def add(self, problem: Problem, code: str, judged: Judged) -> None:
        with self._lock:
            self.found[problem.hash, code] = judged
            settings = {"version": VERSION, "settings": self.how.settings}
            self._pending.append({"problem": problem.hash, "code": code, **settings, **vars(judged)})
            self.how.progress.advance(1)
            if time.monotonic() - self._since >= FLUSH_SECONDS:
                self._flush()

    def flush(self) -> None:
        with self._lock:
            self._flush()

    def _flush(self) -> None:
        pending, self._pending = self._pending, []
        self.how.store.record_verdicts(pending)
        self._since = time.monotonic()


def code_hash(program: str) -> str:
    """16 hex digits of SHA-256 of a program's text."""
    return hashlib.sha256(program.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def judged(
    programs: Sequence[tuple[Problem, str]], how: Judging, on_error: Callable[[KaiboError], None]
) -> dict[tuple[str, str], Judged]:
    """The verdict of each program, by the hashes of its problem and its text; one that stands twice is run once.

    A problem that cannot be judged is told to `on_error` and its samples have no verdict. Raises StorageError when the
    store cannot be written, StoppedError after a signal; what was finished by then is kept.
    """
    wanted: dict[str, Piece] = {}
    for problem, program in programs:
        wanted.setdefault(problem.hash, Piece(problem, {})).programs[code_hash(program)] = program
    known = how.store.verdicts(list(wanted), VERSION, how.settings)
    kept = _Kept(how, {key: _of_row(row) for key, row in known.items()})
    pieces = list(_pieces(wanted.values(), kept.found))
    how.progress.begin("samples", sum(len(piece.programs) for piece in pieces), "samples")
    with Stopping() as stopping, ThreadPoolExecutor(how.workers) as pool:
        try:
            running = {pool.submit(_judge, piece, kept) for piece in pieces}
            broken: dict[str, KaiboError] = {}
            while running:
                done, running = wait(running, timeout=0.2)
                if stopping.signal is not None:
                    kept.stop.set()
                for error in (each.result() for each in done):
                    if error is not None:
                        broken.setdefault(error.line, error)
        except BaseException:
            kept.stop.set()
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
            kept.flush()
        stopping.check()
    for error in broken.values():
        on_error(error)
    return kept.found


def share_verdicts(
    work: str,
    programs: Sequence[tuple[Problem, str]],
    shard: Shard,
    how: Judging,
    on_error: Callable[[KaiboError], None],
) -> Share:
    """Judges a shard's programs, and says what was done; raises what `judged` raises."""
    units = {f"{problem.hash} {code_hash(program)}": (problem, program) for problem, program in programs}
    mine = shard.takes(work, dict.fromkeys(units, 1))
    ours = [units[name] for name in sorted(mine)]
    known = how.store.verdicts({problem.hash for problem, _ in ours}, VERSION, how.settings)
    before = sum((problem.hash, code_hash(program)) in known for problem, program in ours)
    found = judged(ours, how, on_error)
    now = sum((problem.hash, code_hash(program)) in found for problem, program in ours)
    return Share(work, "samples", len(units), len(ours), now - before, before)


def _of_row(row: Mapping[str, object]) -> Judged:
    return Judged(*(row[name] for name in ("verdict", "why", "seconds", "sandbox")))  # type: ignore[arg-type]


def _pieces(wanted: Iterable[Piece], found: Mapping[tuple[str, str], Judged]) -> Iterator[Piece]:
    for piece in wanted:
        left = [(code, text) for code, text in piece.programs.items() if (piece.problem.hash, code) not in found]
        for begin in range(0, len(left), AT_ONCE):
            yield Piece(piece.problem, dict(left[begin : begin + AT_ONCE]))


def _judge(piece: Piece, kept: _Kept) -> KaiboError | None:
    """Runs a piece's programs one after the other; gives back the error where the problem itself is at fault."""
    try:
        with Desk(piece.problem, kept.how.way, kept.how.limits) as desk:
            for code, program in piece.programs.items():
                if kept.stop.is_set():
                    break
                kept.add(piece.problem, code, desk.judge(program))
    except FormatError as error:
        return error
    return None
