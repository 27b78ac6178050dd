"""The metric `code_eval`, which tasks that want code run ask a hub for: here it is kaibo's own judge, behind walls."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from kaibo.chapters.pass_at_k.estimate import pass_at_k
from kaibo.collect.verdicts import Judging, code_hash, judged
from kaibo.errors import KaiboError
from kaibo.sandbox import of_test

NAME = "code_eval"


class CodeEval:
    """What `evaluate.load("code_eval")` gives: programs and tests in, the share that passes out."""

    def __init__(self, how: Callable[[], Judging]) -> None:
        self._how = how

    def compute(
        self,
        *,
        references: Sequence[str],
        predictions: Sequence[Sequence[str]],
        k: Sequence[int] = (1, 10, 100),
        **_: Any,
    ) -> tuple[dict[str, float], dict[int, list[Any]]]:
        """pass@k over all tasks for each k that every task has programs for, and what became of each program."""
        tests = [of_test(test) for test in references]
        programs = [(test, one) for test, several in zip(tests, predictions, strict=True) for one in several]
        found = judged(programs, self._how(), _warned)
        ended: dict[int, list[Any]] = {}
        for at, (test, several) in enumerate(zip(tests, predictions, strict=True)):
            verdicts = [found.get((test.hash, code_hash(one))) for one in several]
            ended[at] = [
                (place, {"task_id": at, "passed": one is not None and one.verdict == "passed", "result": one})
                for place, one in enumerate(verdicts)
            ]
        counts = [(len(several), sum(one["passed"] for _, one in several)) for several in ended.values()]
        fewest = min(n for n, _ in counts)
        return {
            f"pass@{each}": sum(pass_at_k(n, c, each) for n, c in counts) / len(counts) for each in k if each <= fewest
        }, ended


def _warned(error: KaiboError) -> None:
    warnings.warn(error.line, stacklevel=2)


@contextmanager
def judged_here(how: Callable[[], Judging]) -> Iterator[None]:
    """While the block runs, whoever loads `code_eval` from a hub is given kaibo's judge; nothing is fetched."""
    try:
        import evaluate
    except ModuleNotFoundError:  # tasks that run code cannot be loaded without it, and say so
        yield
        return
    before = evaluate.load

    def load(path: str, *given: Any, **named: Any) -> Any:
        return CodeEval(how) if path == NAME else before(path, *given, **named)

    evaluate.load = load
    try:
        yield
    finally:
        evaluate.load = before
