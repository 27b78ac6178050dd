"""`kaibo eval`: how well models do on tasks, with standard errors, chance, and the spread over prompts."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

from kaibo.chapters.eval.accuracy import evaluation
from kaibo.chapters.eval.pairs import paired
from kaibo.chapters.eval.rows import EvalPair, EvalRow
from kaibo.collect.evaluations import Sat, share_exam, take_exam
from kaibo.collect.scorer import Opened, Scorer
from kaibo.collect.shards import Shard, Share
from kaibo.desk.addresses import Address, OnError, addresses, raising
from kaibo.desk.checkpoints import checkpoints
from kaibo.desk.measuring import Settings, open_store
from kaibo.errors import KaiboError, UnfinishedError, UsageError
from kaibo.llama.engines.functions import Running, ends_said
from kaibo.scoring.exams.exams import Exam, ExamSettings, exam
from kaibo.scoring.exams.prompting import Paper, papers
from kaibo.scoring.exams.task_files import read_task
from kaibo.scoring.planning import ScoreSettings
from kaibo.store import Store
from kaibo.vocabulary import Finding, Function
from kaibo.vocabulary.evaluations import Sitting
from kaibo.words import Note, about

if TYPE_CHECKING:
    from kaibo.llama import Causal

T = TypeVar("T")


@dataclass(frozen=True)
class Evaluations:
    """The scores, a row a model, task and measure, and the comparisons of every two models."""

    scores: Finding[EvalRow]
    pairs: Finding[EvalPair]


@dataclass(frozen=True)
class EvalOptions:
    """Which questions are asked, and how.

    `data` is a file, or a folder that is searched for what each task names; `shots` worked examples (default: as the
    task says); `variants` forms of each task (prompts in turn, then other examples); at most `limit` questions.
    Tasks whose answers are programs run them behind walls, and without any only where `accept_unsandboxed` says so.
    """

    data: str | os.PathLike[str] | None = None
    shots: int | None = None
    variants: int = 1
    limit: int | None = None
    how: ExamSettings = field(default_factory=ExamSettings)
    accept_unsandboxed: bool = False


def evaluate(
    models: Address | Iterable[Address],
    tasks: Address | Iterable[Address],
    *,
    options: EvalOptions | None = None,
    settings: Settings | None = None,
    on_error: OnError | None = None,
) -> Evaluations:
    """Scores of models on tasks (shipped ones by name, others as files), and the models compared.

    `models` are addresses; a folder of checkpoints stands for all of them, sorted by step. A model that cannot be
    evaluated is given to `on_error` and the others go on; questions that do not fit a model's context are recorded,
    left out of its score, and reported there, too. Raises what reading tasks and data raises.
    """
    options, settings = options or EvalOptions(), settings or Settings()
    report = on_error or raising
    asked = read_papers(tasks, options)
    store = open_store(settings.store)
    examiner = Examiner(asked, options.how, store, settings)
    sat = list(_each(models, examiner, report, examiner.sit))
    for unasked in _unasked(sat):
        report(unasked)
    return answer_of([one.sitting for one in sat], notes_of(asked), store)


def share_evaluate(
    models: Address | Iterable[Address],
    tasks: Address | Iterable[Address],
    shard: Shard,
    *,
    options: EvalOptions,
    settings: Settings,
    on_error: OnError,
) -> Iterator[Share]:
    """Puts a shard's part of the questions to each model, and says what was done; raises what `evaluate` raises."""
    examiner = Examiner(read_papers(tasks, options), options.how, open_store(settings.store), settings)
    yield from _each(models, examiner, on_error, lambda opened, label: examiner.share(opened, shard, label))


def _each(
    models: Address | Iterable[Address],
    examiner: Examiner,
    report: OnError,
    take: Callable[[Opened, str], Iterable[T]],
) -> Iterator[T]:
    """What `take` makes of each checkpoint that was opened, and of its label."""
    scorer = Scorer(ScoreSettings(), examiner.settings, examiner.store)
    for label, opened in scorer.each(checkpoints(models), report):
        try:
            yield from take(opened, label)
        except KaiboError as error:
            scorer.forgive(error, report)


def answer_of(sittings: list[Sitting], notes: Iterable[Note], store: Store) -> Evaluations:
    """The findings of sittings, with their scores recorded in the store's table of scores."""
    scores = evaluation(sittings)
    origins = {(one.model, one.task): one.origin for one in reversed(sittings)}  # a row's value is its first form's
    store.record_scores(list(tidy(scores, origins)))
    noted = Finding(scores.kind, scores.rows, (*scores.notes, *dict.fromkeys(notes)), scores.provenance)
    return Evaluations(noted, paired(sittings))


def read_papers(tasks: Address | Iterable[Address], options: EvalOptions) -> list[Paper]:
    """Every form of every task, rendered."""
    names = addresses(tasks)
    if not names:
        raise UsageError("no task was named", next="--task FILE or the name of a shipped one")
    given = None if options.data is None else os.fspath(options.data)
    several = [papers(read_task(name), given, shots=options.shots, variants=options.variants, limit=options.limit)
               for name in names]  # fmt: skip
    return [paper for one in several for paper in one]


def notes_of(asked: Iterable[Paper]) -> Iterator[Note]:
    """What a reader of the scores should know of the questions."""
    for paper in asked:
        yield from (about(paper.task.name, told) for told in paper.notes)


@dataclass
class Examiner:
    """Puts papers to one model after another: tokenised once for each tokenizer, at most one model in memory."""

    papers: Sequence[Paper]
    how: ExamSettings
    store: Store
    settings: Settings
    _exams: dict[tuple[str, int | None, frozenset[int]], list[Exam]] = field(default_factory=dict)
    _causal: Causal | None = None

    def sit(self, opened: Opened, label: str | None = None) -> list[Sat]:
        """All papers under one checkpoint, which is loaded at most once and only if something is missing."""
        return [
            take_exam(label or opened.address, taker, one, loaded, self.store, self.how.batch, self.settings.progress)
            for taker, one, loaded in self._sittings(opened)
        ]

    def share(self, opened: Opened, shard: Shard, label: str) -> list[Share]:
        """A shard's questions of all papers under one checkpoint."""
        how = self.store, self.how.batch, self.settings.progress
        return [share_exam(label, taker, one, shard, loaded, *how) for taker, one, loaded in self._sittings(opened)]

    def _sittings(self, opened: Opened) -> Iterator[tuple[Function, Exam, Callable[[], Causal]]]:
        """Who answers, each paper in the tokens of that one, and what loads the model if something is missing."""
        tokenizer_hash, exams = self._exams_of(opened)
        taker = opened.function(tokenizer_hash, Running(self.how.dtype, self.how.device, self.how.rope))
        for one in exams:
            yield taker, one, lambda: self._loaded(opened)

    def _exams_of(self, opened: Opened) -> tuple[str, list[Exam]]:
        """The hash of a checkpoint's tokenizer, and all papers in its tokens."""
        ends = ends_of(opened)
        context = None if self.how.rope else opened.context
        key = opened.tokenizer.hash, context, ends
        if key not in self._exams:
            self._exams[key] = [exam(one, opened.tokenizer, context, self.how, ends) for one in self.papers]
        return key[0], self._exams[key]

    def _loaded(self, opened: Opened) -> Causal:
        if self._causal is None or self._causal.address != opened.address:
            before, self._causal = self._causal, None
            found = None if before is None else _swapped(before, opened)
            del before  # a model of another shape is gone before its successor comes
            self._causal = found or loaded_model(opened, self.how)
        return self._causal


def _swapped(before: Causal, opened: Opened) -> Causal | None:
    from kaibo.scoring.swapping import swapped

    return swapped(before, opened.model)


def loaded_model(opened: Opened, how: ExamSettings) -> Causal:
    """The model with its weights, which writes until one of the ids that end it."""
    from kaibo.llama import open_causal

    found = open_causal(opened.address, dtype=how.dtype, device=how.device, rope=how.rope)
    return replace(found, ends=ends_of(opened))


def ends_of(opened: Opened) -> frozenset[int]:
    """The ids after which a model has stopped, as its config, its generation config and its tokenizer say."""
    generation = opened.model.documents.get("generation_config.json", {})
    own = opened.tokenizer.eos
    return ends_said(opened.model.config, generation) | frozenset(() if own is None else (own,))


def _unasked(sat: Iterable[Sat]) -> Iterator[KaiboError]:
    """One error a model and task whose questions could not all be asked: that of the form with the most of them."""
    worst: dict[tuple[str, str], Sat] = {}
    for one in sat:
        key = one.sitting.model, one.sitting.task
        if len(one.exam.refused) > (len(worst[key].exam.refused) if key in worst else 0):
            worst[key] = one
    for (model, task), one in worst.items():
        first, count = one.exam.refused[0], len(one.exam.refused)
        message = f"{task}: {count} questions were not asked and do not count; the first is {first.id}: {first.why}"
        yield UnfinishedError(message, file=model, next="fewer --shots, or --rope to scale the positions")


@dataclass(frozen=True)
class _ScoreRow:
    """A row of the store's table of scores."""

    model: str
    checkpoint: int | None
    benchmark: str
    metric: str
    value: float
    stderr: float | None
    n_shot: int
    unit: str
    source: str
    original: str | None = None


def tidy(found: Finding[EvalRow], origins: Mapping[tuple[str, str], str]) -> Iterator[_ScoreRow]:
    """The rows as the store's table of scores has them; `origins` say what answered what, by model and task."""
    for row in found:
        unit = "points" if row.metric.startswith("ppl") else "fraction"
        source = f"kaibo eval {origins[row.model, row.task]} n={row.n}"
        if row.n:
            yield _ScoreRow(
                *(row.model, row.step, row.task, row.metric, row.value, row.stderr, row.shots, unit, source)
            )
