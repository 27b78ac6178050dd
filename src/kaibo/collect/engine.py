"""Threads that count spans: a bounded number under way, results in the order in which they were asked for."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from kaibo.counting import Part, Workspace, count_span, hash_span
from kaibo.errors import KaiboError
from kaibo.models.places import readers, taking_turns
from kaibo.vocabulary import Tensor

T = TypeVar("T")
D = TypeVar("D")


@dataclass(frozen=True)
class Task:
    """One span of one tensor; `last` marks the tensor's last span. With `hashed` it is only hashed, not counted."""

    tensor: Tensor
    begin: int
    end: int
    last: bool
    hashed: bool = False

    @property
    def bytes(self) -> int:
        """How much there is to read."""
        return (self.end - self.begin) * (self.tensor.dtype.itemsize or 1)


@dataclass(frozen=True)
class Done:
    """A task and what came of it: a part, or the error that says why there is none."""

    task: Task
    part: Part | None
    error: KaiboError | None


def counted(tasks: Iterable[Task], workers: int) -> Generator[Done, None, None]:
    """Every task's outcome, in order; see `ordered`."""
    local = threading.local()

    def run(task: Task) -> Done:
        if not hasattr(local, "workspace"):
            local.workspace = Workspace()
        try:
            measure = hash_span if task.hashed else count_span
            return Done(task, measure(task.tensor, task.begin, task.end, local.workspace), None)
        except KaiboError as error:
            return Done(task, None, named(error, task.tensor))

    return ordered(tasks, run, workers)


def ordered(tasks: Iterable[T], run: Callable[[T], D], workers: int) -> Generator[D, None, None]:
    """What `run` makes of each task, in order; at most four tasks a worker are under way or waiting to be taken.

    The calling thread only waits and hands on, so it can do the bookkeeping. When the caller stops asking, tasks
    that have not begun are dropped and those under way are waited for. More threads than workers wait for what lies
    far away; no more than workers count at a time.
    """
    waiting: deque[Future[D]] = deque()
    threads, turns = readers(workers), threading.Semaphore(workers)

    def in_turn(task: T) -> D:
        with taking_turns(turns):
            return run(task)

    pool = ThreadPoolExecutor(threads, thread_name_prefix="kaibo")
    try:
        for task in tasks:
            waiting.append(pool.submit(in_turn, task))
            if len(waiting) >= max(4 * workers, threads):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def named(error: KaiboError, tensor: Tensor) -> KaiboError:
    """The same error, naming the tensor: a file that changed under its reader does not know which one was read."""
    if error.tensor is not None:
        return error
    return type(error)(error.message, file=error.file, tensor=tensor.name, offset=error.offset, next=error.next)
