"""`kaibo trends`: which tokens runs learn, finish and forget, from the token logs of their checkpoints."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

from kaibo.chapters.inspect.ask import inspect
from kaibo.chapters.trends.scored import ScoredSeries, joined
from kaibo.chapters.trends.trained import trained_tokens
from kaibo.chapters.trends.whole import TrendOptions, Trends
from kaibo.chapters.trends.whole import trends as analyse
from kaibo.collect.scorer import Scorer
from kaibo.desk.addresses import Address, OnError, addresses, raising
from kaibo.desk.measuring import Settings, open_store
from kaibo.errors import KaiboError, MissingError, UsageError
from kaibo.models.runs.checkpoints import Checkpoint, checkpoint_at, checkpoints_of
from kaibo.scoring.planning import ScoreSettings
from kaibo.scoring.texts.texts import Document, Errors, read_texts
from kaibo.vocabulary import TokenLog
from kaibo.words import Note, about, note


@dataclass(frozen=True)
class Run:
    """A run that was named: what to call it, and its checkpoints with a step above 0, in order."""

    name: str
    checkpoints: tuple[Checkpoint, ...]
    notes: tuple[Note, ...] = ()


def trends(
    series: Address | Iterable[Address],
    texts: Address | Iterable[Address],
    *,
    asked: TrendOptions | None = None,
    how: ScoreSettings | None = None,
    errors: Errors = "strict",
    batch_tokens: Sequence[int] | None = None,
    settings: Settings | None = None,
    on_error: OnError | None = None,
) -> Trends:
    """The trend of every token of the texts along each run, and what follows from it.

    Each of `series` is a folder of checkpoints; other addresses (`hf:org/name@step1000` …) are grouped by the run they
    belong to. What the store does not know is scored first; after that no weights are read. `batch_tokens` says how
    many tokens a step reads, for all runs or each; a nursery's manifest says it by itself. A checkpoint that cannot be
    scored is given to `on_error` and the others go on. Raises MissingError for a series of fewer than two checkpoints
    with a step, UsageError for what `asked` does not fit.
    """
    settings, report = settings or Settings(), on_error or raising
    runs = runs_of(addresses(series))
    batches = batches_of(batch_tokens, len(runs))
    documents = read_texts(texts, errors)
    scorer = Scorer(how or ScoreSettings(), settings, open_store(settings.store))
    made = [scored_series(run, scorer, documents, batch, report) for run, batch in zip(runs, batches, strict=True)]
    found = analyse(made, asked)
    notes = tuple(about(run.name, text) for run in runs for text in run.notes)
    return replace(found, shares=replace(found.shares, notes=(*found.shares.notes, *notes)))


def scored_series(
    run: Run, scorer: Scorer, documents: Sequence[Document], batch: int | None, report: OnError
) -> ScoredSeries:
    """A run's nats. Raises MissingError where fewer than two checkpoints could be scored."""
    texts: list[str] = []

    def logs() -> Iterator[tuple[int, Sequence[TokenLog]]]:
        for label, opened in scorer.each(run.checkpoints, report):
            try:
                scored = scorer.take(opened, scorer.plan(opened, documents), label)
            except KaiboError as error:
                scorer.forgive(error, report)
                continue
            texts[:] = [document.text for document in scored.plan.documents]
            read.append(next(one for one in run.checkpoints if one.address == opened.address))
            yield read[-1].step or 0, scored.logs

    read: list[Checkpoint] = []
    steps, nats, tokens = joined(run.name, logs(), texts)
    parameters = inspect(read[-1].address, trust_shards=scorer.settings.trust_shards).rows[0].parameters
    return ScoredSeries(run.name, steps, nats, tokens, parameters, trained_tokens(read, batch))


def batches_of(given: Sequence[int] | None, runs: int) -> list[int | None]:
    """How many tokens a step reads in each run. Raises UsageError for another number of them than one or all."""
    if given is None:
        return [None] * runs
    if len(given) not in (1, runs) or not all(one > 0 for one in given):
        raise UsageError(f"--batch-tokens names {len(given)} for {runs} series", next="give one, or one for each")
    return [*given] if len(given) == runs else [given[0]] * runs


def runs_of(named: Sequence[str]) -> list[Run]:
    """The runs that are named: a folder of checkpoints is one, other addresses belong together by where they are.

    Raises MissingError for a run of fewer than two checkpoints with a step above 0.
    """
    if not named:
        raise UsageError("no series was named", next="name a folder of checkpoints")
    groups: dict[str, list[Checkpoint]] = {}
    for address in named:
        folder = os.path.isdir(address) and not os.path.isfile(os.path.join(address, "config.json"))
        if folder:
            groups[os.path.abspath(address)] = list(checkpoints_of([address]))
        else:
            home = address.partition("@")[0] if address.startswith("hf:") else os.path.dirname(os.path.abspath(address))
            groups.setdefault(home, []).append(checkpoint_at(address))
    names = run_names(list(groups))
    return [_run(name, found) for name, found in zip(names, groups.values(), strict=True)]


def _run(name: str, found: Sequence[Checkpoint]) -> Run:
    once: dict[int, Checkpoint] = {}
    for one in found:
        if one.step is not None and one.step > 0:
            once.setdefault(one.step, one)
    if len(once) < 2:
        message = f"holds {len(once)} checkpoints with a step above 0; a trend has more"
        raise MissingError(message, file=name, next="name a folder of checkpoint folders, or several of one run")
    left = len(found) - len(once)
    notes = (note("trends_left", count=left),) if left else ()
    return Run(name, tuple(once[step] for step in sorted(once)), notes)


def run_names(homes: Sequence[str]) -> list[str]:
    """What to call runs: the last part of their folders that tells them apart.

    >>> run_names(["/n/family-1M/float32", "/n/family-2M/float32"])
    ['family-1M', 'family-2M']
    >>> run_names(["/n/run"]), run_names(["hf:org/a", "hf:org/b"])
    (['run'], ['org/a', 'org/b'])
    """
    parts = [one.removeprefix("hf:").rstrip("/").split("/") for one in homes]
    if len(homes) > 1 and not any(one.startswith("hf:") for one in homes):
        same = len(list(takewhile(lambda ends: len(set(ends)) == 1, zip(*map(reversed, parts), strict=False))))
        parts = [one[: len(one) - same] or one for one in parts]
    size = 1
    while size < 8 and len({tuple(one[-size:]) for one in parts}) < len(parts):
        size += 1
    return [
        "/".join(one) if home.startswith("hf:") else "/".join(one[-size:])
        for home, one in zip(homes, parts, strict=True)
    ]
