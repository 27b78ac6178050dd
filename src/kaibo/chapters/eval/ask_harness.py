"""`kaibo eval --lm-eval`: tasks of EleutherAI's lm-evaluation-harness on kaibo's engine, kept like all others."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from kaibo.chapters.eval.accuracy import reported
from kaibo.chapters.eval.ask import EvalOptions, Evaluations, ends_of, loaded_model, tidy
from kaibo.chapters.eval.code_eval import judged_here
from kaibo.chapters.eval.rows import EVAL, EVAL_PAIRS, EvalRow
from kaibo.collect import granted_workers
from kaibo.collect.harness import Kept
from kaibo.collect.scorer import Opened, Scorer
from kaibo.collect.shards import Shard, Share
from kaibo.collect.verdicts import Judging
from kaibo.desk.addresses import Address, OnError, raising
from kaibo.desk.checkpoints import checkpoints
from kaibo.desk.measuring import Settings, open_store
from kaibo.errors import KaiboError, MissingError, UsageError, missing_extra
from kaibo.llama.engines.functions import Running
from kaibo.sandbox import Limits, chosen
from kaibo.scoring.planning import ScoreSettings
from kaibo.scoring.texts.tokens import load_tokenizer
from kaibo.store import Store
from kaibo.vocabulary import Finding, Function
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
        run = _Run(*_tasks(tasks, include), options, settings, open_store(settings.store))
    rows: list[EvalRow] = []
    told: dict[str, str] = {}
    origins: dict[tuple[str, str], str] = {}
    scorer = Scorer(ScoreSettings(), settings, run.store)
    for _, checkpoint in scorer.each(checkpoints(models), report):
        try:
            found = run.results(checkpoint)
        except KaiboError as error:
            scorer.forgive(error, report)
            continue
        told[checkpoint.address] = checkpoint.model_id
        named = reported(checkpoint.address, found["results"], found["n-samples"], found["n-shot"])
        rows += [replace(row, step=checkpoint.step) for row in named]
        done = run.function(checkpoint).function_id
        versions = found.get("versions") or {}
        origins |= {(row.model, row.task): f"{done} lm-eval {versions.get(row.task, '')}".rstrip() for row in named}
    scores = Finding(EVAL, tuple(rows), (), {"models": told})
    run.store.record_scores(list(tidy(scores, origins)))
    return Evaluations(scores, Finding(EVAL_PAIRS, ()))


def share_harness(
    models: Address | Iterable[Address],
    tasks: Sequence[str],
    include: str | os.PathLike[str] | None,
    shard: Shard,
    *,
    options: EvalOptions,
    settings: Settings,
    on_error: OnError,
) -> Iterator[Share]:
    """Runs a shard's tasks under each model, and says what was done; raises what `evaluate_harness` raises.

    The harness scores a task from all answers to it, so a task is dealt out whole.
    """
    _check(options)
    with _quiet():
        run = _Run(*_tasks(tasks, include), options, settings, open_store(settings.store))
    scorer = Scorer(ScoreSettings(), settings, run.store)
    for _, checkpoint in scorer.each(checkpoints(models), on_error):
        try:
            mine = shard.takes(run.function(checkpoint).function_id, dict.fromkeys(run.tasks, 1))
            if mine:
                replace(run, tasks=sorted(mine)).results(checkpoint)
        except KaiboError as error:
            scorer.forgive(error, on_error)
            continue
        yield Share(checkpoint.address, "tasks", len(set(run.tasks)), len(mine), len(mine), 0)


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


@dataclass(frozen=True)
class _Run:
    """One call: which tasks, how, and where what is measured is kept."""

    manager: Any
    tasks: list[str]
    options: EvalOptions
    settings: Settings
    store: Store

    def results(self, opened: Opened) -> Mapping[str, Any]:
        """What the harness reports of a checkpoint."""
        with _quiet(), judged_here(self._judging):
            from lm_eval.evaluator import simple_evaluate

            own = self._own(opened)
            try:
                found: Mapping[str, Any] = simple_evaluate(
                    model=own,
                    tasks=list(self.tasks),
                    task_manager=self.manager,
                    num_fewshot=self.options.shots,
                    limit=self.options.limit,
                    log_samples=False,
                    bootstrap_iters=200,
                    confirm_run_unsafe_code=True,  # it runs behind walls
                )
            except KaiboError:
                raise
            except Exception as problem:  # tasks are others' code and data, and raise what they like
                said = " ".join(str(problem).split())[:300] or type(problem).__name__
                message = f"lm-evaluation-harness could not run it ({type(problem).__name__}: {said})"
                raise MissingError(message, file=",".join(self.tasks), next="is the task's data here?") from problem
        return found

    def function(self, opened: Opened) -> Function:
        """What answers: the checkpoint as it is run here."""
        how = self.options.how
        return opened.function(opened.tokenizer.hash, Running(how.dtype, how.device, how.rope))

    def _judging(self) -> Judging:
        """Behind which walls a task's programs run; the harness's own limit of time is three seconds."""
        way = chosen(accept_unsandboxed=self.options.accept_unsandboxed)
        workers = granted_workers(self.settings.workers)
        return Judging(way, Limits(seconds=3.0), self.store, workers, self.settings.progress)

    def _own(self, opened: Opened) -> Any:
        """The checkpoint as a model of the harness; its weights are loaded only if something is not in the store."""
        from kaibo.scoring.harness import KaiboLM, Later

        how = self.options.how
        together = how.batch if how.dtype != "float32" else None
        settings = f"{sorted(ends_of(opened))} {together}"
        kept = Kept(self.store, self.function(opened), settings, self.settings.progress)
        later = Later(opened.address, opened.context, ends_of(opened), lambda: loaded_model(opened, how))
        if how.rope or opened.context is None:  # how far scaled positions reach is known once the model is there
            causal = later.load()
            later = replace(later, context=causal.context, load=lambda: causal)
        return KaiboLM(later, load_tokenizer(opened.folder), batch_size=how.batch, keeper=kept)
