"""`kaibo trajectories` of runs of one's own: tasks and texts along checkpoints, as a table of scores like any other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

import numpy as np

from kaibo.chapters.eval.accuracy import evaluation
from kaibo.chapters.eval.ask import EvalOptions, Examiner, notes_of, read_papers
from kaibo.chapters.eval.rows import EvalRow
from kaibo.chapters.inspect.ask import inspect
from kaibo.chapters.score.perplexity import perplexity
from kaibo.chapters.score.rows import ScoreRow
from kaibo.chapters.score.texts import texts_of
from kaibo.chapters.trajectories.along_training import trajectories as along
from kaibo.chapters.trajectories.rows import TrajectoryRow
from kaibo.chapters.trends.ask import Run, batches_of, runs_of
from kaibo.chapters.trends.trained import trained_tokens
from kaibo.collect.scorer import Opened, Scorer
from kaibo.desk.addresses import Address, OnError, raising
from kaibo.desk.measuring import Settings, open_store
from kaibo.errors import KaiboError, MissingError, UsageError
from kaibo.scoring.planning import ScoreSettings
from kaibo.scoring.texts.texts import Document, read_texts
from kaibo.vocabulary import Finding
from kaibo.vocabulary.scores import ScoreTable, Unit

TEXT = "text.ppl"
"""The column that holds the perplexity of the texts."""


@dataclass(frozen=True)
class TrajectoryOptions:
    """What is asked along runs: `questions` of the tasks, how many checkpoints of a run at `most` (evenly over those it
    has, with the last; None: all), how much of its past an exponential average keeps, the tokens that a step reads (of
    all runs or each; a nursery's manifest says it by itself), and the seed of what is drawn.
    """

    questions: EvalOptions = field(default_factory=EvalOptions)
    most: int | None = None
    smooth: float = 0.0
    batch_tokens: Sequence[int] | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.most is not None and self.most < 2:
            raise UsageError(f"{self.most} checkpoints of a run are no trajectory", next="keep 2 or more")


@dataclass(frozen=True)
class _Scored:
    """One checkpoint of one run: what it is, and its scores by column, each with its standard error."""

    run: str
    step: int
    parameters: int | None
    trained: float | None
    scores: dict[str, tuple[float, float]]


def task_trajectories(
    series: Address | Iterable[Address],
    tasks: Address | Iterable[Address],
    texts: Address | Iterable[Address],
    *,
    options: TrajectoryOptions | None = None,
    settings: Settings | None = None,
    on_error: OnError | None = None,
) -> Finding[TrajectoryRow]:
    """Scores on tasks, and perplexities of right and wrong options, against the perplexity of texts, FLOPs and size.

    Each of `series` is a folder of checkpoints; what the store does not know is measured first. A checkpoint that
    cannot be measured is given to `on_error` and the others go on. Raises MissingError for a series of fewer than two
    checkpoints with a step, and what reading tasks and texts raises.
    """
    options = options or TrajectoryOptions()
    scores = along_runs(series, tasks, texts, options=options, settings=settings, on_error=on_error)
    return along(scores, smooth=options.smooth, seed=options.seed)


def along_runs(
    series: Address | Iterable[Address],
    tasks: Address | Iterable[Address],
    texts: Address | Iterable[Address],
    *,
    options: TrajectoryOptions | None = None,
    settings: Settings | None = None,
    on_error: OnError | None = None,
) -> ScoreTable:
    """The table of scores: a row a checkpoint, a column a task's measure (`task.metric`), and `text.ppl`."""
    options, settings, report = options or TrajectoryOptions(), settings or Settings(), on_error or raising
    runs = [thinned(run, options.most) for run in runs_of([str(one) for one in _listed(series)])]
    papers = read_papers(tasks, options.questions)
    documents = read_texts(texts, "strict")
    store = open_store(settings.store)
    scorer = Scorer(ScoreSettings(), settings, store)
    examiner = Examiner(papers, options.questions.how, store, settings)
    batches = batches_of(options.batch_tokens, len(runs))
    rows = [
        row for run, batch in zip(runs, batches, strict=True)
        for row in _scored(run, batch, (scorer, examiner, documents), report)
    ]  # fmt: skip
    if not rows:
        raise MissingError("none of the checkpoints could be measured", file=runs[0].name)
    asked = f"{papers[0].shots} worked examples before each question" if papers[0].shots else "no worked examples"
    return table_of(rows, tuple(dict.fromkeys((*notes_of(papers), asked))))


def _listed(series: Address | Iterable[Address]) -> list[Address]:
    return [series] if isinstance(series, str) or not isinstance(series, Iterable) else list(series)


def thinned(run: Run, most: int | None) -> Run:
    """The run with at most so many checkpoints, evenly over those that it has; the last always stays."""
    count = len(run.checkpoints)
    if most is None or count <= most:
        return run
    places = np.unique(np.rint(np.linspace(count - 1, 0, most)).astype(int))
    return replace(run, checkpoints=tuple(run.checkpoints[place] for place in places))


def _scored(
    run: Run, batch: int | None, measuring: tuple[Scorer, Examiner, Sequence[Document]], report: OnError
) -> list[_Scored]:
    scorer, examiner, documents = measuring
    tokens = trained_tokens(run.checkpoints, batch)
    trained = dict(zip((one.address for one in run.checkpoints), tokens or [None] * len(run.checkpoints), strict=True))
    found = []
    for label, opened in scorer.each(run.checkpoints, report):
        try:
            scores = _scores(opened, label, scorer, examiner, documents)
        except KaiboError as error:
            scorer.forgive(error, report)
            continue
        parameters = inspect(opened.address, trust_shards=scorer.settings.trust_shards).rows[0].parameters
        found.append(_Scored(run.name, opened.step or 0, parameters, trained[opened.address], scores))
    return found


def _scores(
    opened: Opened, label: str, scorer: Scorer, examiner: Examiner, documents: Sequence[Document]
) -> dict[str, tuple[float, float]]:
    """Each measure of each task, and the perplexity of the texts, with standard errors."""
    texts = perplexity(list(texts_of(scorer.take(opened, scorer.plan(opened, documents), label), opened.step)))
    answered = evaluation([one.sitting for one in examiner.sit(opened, label)])
    found = {f"{row.task}.{row.metric}": _with_error(row) for row in answered.rows}
    return found | {TEXT: _text(texts.rows[0])}


def _with_error(row: EvalRow) -> tuple[float, float]:
    return row.value, np.nan if row.stderr is None else row.stderr


def _text(row: ScoreRow) -> tuple[float, float]:
    """The perplexity and what its interval is worth as a standard error."""
    if row.ppl is None or row.ppl_low is None or row.ppl_high is None:
        return np.nan if row.ppl is None else row.ppl, np.nan
    return row.ppl, row.ppl * float(np.log(row.ppl_high / row.ppl_low)) / (2 * 1.959964)


def table_of(rows: Sequence[_Scored], notes: tuple[str, ...] = ()) -> ScoreTable:
    """The scores of checkpoints as a table, with what is known of each checkpoint."""
    columns = tuple(dict.fromkeys(chain.from_iterable(row.scores for row in rows)))
    cells = np.array([[row.scores.get(name, (np.nan, np.nan)) for name in columns] for row in rows], np.float64)
    tokens = np.array([np.nan if row.trained is None else row.trained for row in rows])
    facts = {
        "parameters": np.array([np.nan if row.parameters is None else row.parameters for row in rows]),
        "step": np.array([row.step for row in rows], np.float64),
        "tokens": tokens,
    }
    units: tuple[Unit, ...] = tuple("points" if "ppl" in name.rsplit(".", 1)[-1] else "fraction" for name in columns)
    names = tuple(row.run for row in rows)
    return ScoreTable(
        "runs", tuple(f"{row.run}@{row.step}" for row in rows), columns, cells[..., 0], units, names, facts,
        {"model": names}, {}, cells[..., 1], notes,
    )  # fmt: skip
