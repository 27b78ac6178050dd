"""`kaibo eval`: how well models do on tasks, with standard errors, chance, and the spread over prompts."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kaibo.analyses.evaluation import EvalPair, EvalRow, evaluation, paired
from kaibo.collect import Options, granted_workers, take_census
from kaibo.collect.evaluations import Sat, take_exam
from kaibo.errors import KaiboError, UnfinishedError, UsageError
from kaibo.models import open_model
from kaibo.models.opening import target_of
from kaibo.scoring.exams import ExamSettings, exam
from kaibo.scoring.prompting import Paper, papers
from kaibo.scoring.task_files import read_task
from kaibo.scoring.tokens import Tokenizer, load_tokenizer
from kaibo.store import Store
from kaibo.verbs.addresses import Address, OnError, addresses, raising
from kaibo.verbs.measuring import Settings, open_store
from kaibo.verbs.score import context_of
from kaibo.vocabulary import Finding, Model
from kaibo.vocabulary.evaluations import Sitting

if TYPE_CHECKING:
    from kaibo.llama import Causal


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
    """

    data: str | os.PathLike[str] | None = None
    shots: int | None = None
    variants: int = 1
    limit: int | None = None
    how: ExamSettings = field(default_factory=ExamSettings)


def evaluate(
    models: Address | Iterable[Address],
    tasks: Address | Iterable[Address],
    *,
    options: EvalOptions | None = None,
    settings: Settings | None = None,
    on_error: OnError | None = None,
) -> Evaluations:
    """Scores of models on tasks (shipped ones by name, others as files), and the models compared.

    A model that cannot be evaluated is given to `on_error` and the others go on; questions that do not fit a model's
    context are recorded, left out of its score, and reported there, too. Raises what reading tasks and data raises.
    """
    options, settings = options or EvalOptions(), settings or Settings()
    report = on_error or raising
    asked = read_papers(tasks, options)
    store = open_store(settings.store)
    sat: list[Sat] = []
    for address in addresses(models):
        try:
            sat += _sit(address, asked, options.how, settings, store)
        except KaiboError as error:
            if settings.fail_fast or error.kind in ("storage", "stopped", "usage"):
                raise
            report(error)
    for unasked in _unasked(sat):
        report(unasked)
    return answer_of([one.sitting for one in sat], notes_of(asked), store)


def answer_of(sittings: list[Sitting], notes: Iterable[str], store: Store) -> Evaluations:
    """The findings of sittings, with their scores recorded in the store's table of scores."""
    scores = evaluation(sittings)
    store.record_scores(list(tidy(scores, {one.model: one.model_id for one in sittings})))
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


def notes_of(asked: Iterable[Paper]) -> Iterator[str]:
    """What a reader of the scores should know of the questions."""
    for paper in asked:
        yield from (f"{paper.task.name}: {note}" for note in paper.notes)


def _sit(address: str, asked: Iterable[Paper], how: ExamSettings, settings: Settings, store: Store) -> list[Sat]:
    """All papers under one model, which is loaded at most once and only if something is missing."""
    model = open_model(address, trust_shards=settings.trust_shards)
    taken = take_census(model, store, Options(granted_workers(settings.workers), settings.verify, settings.progress))
    if taken.failures:
        raise taken.failures[0]
    tokenizer = load_tokenizer(target_of(address, weights=True).root)
    ends = ends_of(model, tokenizer)
    loaded: list[Causal] = []

    def load() -> Causal:
        if not loaded:
            loaded.append(opened(address, how, tokenizer, ends))
        return loaded[0]

    context = None if how.rope else context_of(model)
    exams = [exam(paper, tokenizer, context, how, ends) for paper in asked]
    return [take_exam(address, taken.model_id, one, load, store, how.batch, settings.progress) for one in exams]


def ends_of(model: Model, tokenizer: Tokenizer) -> frozenset[int]:
    """The ids after which a model has stopped, as its config and its tokenizer say."""
    found = model.config.get("eos_token_id")
    several = [*(found if isinstance(found, list) else [found]), tokenizer.eos]
    return frozenset(one for one in several if isinstance(one, int))


def opened(address: str, how: ExamSettings, tokenizer: Tokenizer, ends: frozenset[int]) -> Causal:
    """The model with its weights, writing with the tokenizer that its questions were read by."""
    from dataclasses import replace

    from kaibo.llama import open_causal

    return replace(open_causal(address, dtype=how.dtype, device=how.device, rope=how.rope), ends=ends)


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


def tidy(found: Finding[EvalRow], ids: Mapping[str, str]) -> Iterator[_ScoreRow]:
    """The rows as the store's table of scores has them; `ids` are the identities of the models."""
    for row in found:
        unit = "points" if row.metric.startswith("ppl") else "fraction"
        source = f"kaibo eval {ids[row.model]}"
        if row.n:
            yield _ScoreRow(
                *(row.model, row.step, row.task, row.metric, row.value, row.stderr, row.shots, unit, source)
            )
