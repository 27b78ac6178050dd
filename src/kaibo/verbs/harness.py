"""`kaibo eval --lm-eval`: tasks of EleutherAI's lm-evaluation-harness on kaibo's engine, kept like all others."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from kaibo.analyses.evaluation import EvalPair, EvalRow, reported
from kaibo.collect import Options, granted_workers, take_census
from kaibo.collect.harness import Kept
from kaibo.errors import KaiboError, MissingError, UsageError, missing_extra
from kaibo.models import open_model
from kaibo.models.opening import target_of
from kaibo.scoring.exams import ExamSettings
from kaibo.scoring.tokens import load_tokenizer
from kaibo.store import Store
from kaibo.verbs.addresses import Address, OnError, addresses, raising
from kaibo.verbs.evaluate import EvalOptions, Evaluations, ends_of, opened, tidy
from kaibo.verbs.measuring import Settings, open_store
from kaibo.vocabulary import Finding
from kaibo.vocabulary.scores import nearest


def evaluate_harness(
    models: Address | Iterable[Address],
    tasks: Sequence[str],
    include: str | os.PathLike[str] | None = None,
    *,
    options: EvalOptions | None = None,
    settings: Settings | None = None,
    on_error: OnError | None = None,
) -> Evaluations:
    """Scores of models on tasks of the harness, as it reports them; `include` is a folder with more of its tasks.

    Raises MissingError without the extra `eval`, or where a task's data cannot be had; UsageError for unknown tasks.
    """
    options, settings = options or EvalOptions(), settings or Settings()
    report = on_error or raising
    _check(options)
    with _quiet():
        manager, known = _tasks(tasks, include)
    store = open_store(settings.store)
    rows: list[EvalRow] = []
    told: dict[str, str] = {}
    for address in addresses(models):
        try:
            model_id, found = _ran(address, known, manager, options, settings, store)
        except KaiboError as error:
            if settings.fail_fast or error.kind in ("storage", "stopped", "usage"):
                raise
            report(error)
            continue
        told[address] = model_id
        rows += reported(address, found["results"], found["n-samples"], found["n-shot"])
    scores = Finding("eval", tuple(rows), (), {"models": told})
    store.record_scores(list(tidy(scores, told)))
    return Evaluations(scores, Finding[EvalPair]("eval-pairs", ()))


def _check(options: EvalOptions) -> None:
    if options.data is not None or options.variants != 1:
        message = "tasks of lm-evaluation-harness bring their own data and one prompt"
        raise UsageError(message, next="leave out --data and --variants")


@contextmanager
def _quiet() -> Iterator[None]:
    """The harness logs and warns of its own affairs."""
    logger = logging.getLogger("lm_eval")
    level, bars = logger.level, os.environ.get("TQDM_DISABLE")
    logger.setLevel(logging.ERROR)
    os.environ["TQDM_DISABLE"] = "1"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            warnings.simplefilter("ignore", FutureWarning)
            warnings.simplefilter("ignore", ResourceWarning)
            yield
    finally:
        logger.setLevel(level)
        if bars is None:
            del os.environ["TQDM_DISABLE"]
        else:
            os.environ["TQDM_DISABLE"] = bars


def _tasks(asked: Sequence[str], include: str | os.PathLike[str] | None) -> tuple[Any, list[str]]:
    """The harness's manager of tasks, and the names that were asked for; its own are listed only if needed."""
    try:
        from lm_eval.tasks import TaskManager
    except ModuleNotFoundError as absent:
        raise missing_extra("eval", "tasks of lm-evaluation-harness") from absent
    names = [name.strip() for name in asked if name.strip()]
    folder = None if include is None else os.fspath(include)
    manager = None if folder is None else TaskManager(include_path=folder, include_defaults=False)
    if manager is None or not set(names) <= set(manager.all_tasks):
        manager = TaskManager(include_path=folder)
    unknown = [name for name in names if name not in manager.all_tasks]
    if unknown or not names:
        likely = nearest(
            unknown[0] if unknown else "", [one for one in manager.all_tasks if one[:3] == (unknown or [""])[0][:3]]
        )
        raise UsageError(
            f'lm-evaluation-harness has no task "{(unknown or [""])[0]}"', next=f"near it: {likely or '-'}"
        )
    return manager, names


def _ran(
    address: str, tasks: list[str], manager: Any, options: EvalOptions, settings: Settings, store: Store
) -> tuple[str, Mapping[str, Any]]:
    """The identity of a model and what the harness reports of it."""
    how: ExamSettings = options.how
    model = open_model(address, trust_shards=settings.trust_shards)
    taken = take_census(model, store, Options(granted_workers(settings.workers), settings.verify, settings.progress))
    if taken.failures:
        raise taken.failures[0]
    tokenizer = load_tokenizer(target_of(address, weights=True).root)
    kept = Kept(store, taken.model_id, tokenizer.hash, f"{how.dtype} {how.rope}", settings.progress)
    causal = opened(address, how, tokenizer, ends_of(model, tokenizer))
    with _quiet():
        from lm_eval.evaluator import simple_evaluate

        from kaibo.scoring.harness import KaiboLM

        own = KaiboLM(causal, tokenizer, batch_size=how.batch, keeper=kept)
        try:
            found = simple_evaluate(
                model=own, tasks=list(tasks), task_manager=manager, num_fewshot=options.shots, limit=options.limit,
                log_samples=False, bootstrap_iters=200,
            )  # fmt: skip
        except KaiboError:
            raise
        except Exception as problem:  # tasks are others' code and data, and raise what they like
            said = " ".join(str(problem).split())[:300] or type(problem).__name__
            message = f"lm-evaluation-harness could not run it ({type(problem).__name__}: {said})"
            raise MissingError(message, file=",".join(tasks), next="is the task's data here?") from problem
    return taken.model_id, found
