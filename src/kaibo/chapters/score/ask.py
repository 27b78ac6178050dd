"""`kaibo score`: what checkpoints think of every token of a text, kept, and the perplexities that follow."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeVar

from kaibo.chapters.score.lost import lost
from kaibo.chapters.score.perplexity import ScoredText, perplexity
from kaibo.chapters.score.rows import LOST, ContextRow, LostRow, ScoreRow, TokenCell
from kaibo.chapters.score.texts import first_ids, texts_of
from kaibo.chapters.score.token_losses import ShownText, by_context, token_strip
from kaibo.collect.scorer import Opened, Scorer, ahead_of
from kaibo.collect.scores import Scored
from kaibo.collect.shards import Shard, Share
from kaibo.desk.addresses import Address, OnError, addresses, raising
from kaibo.desk.checkpoints import checkpoints
from kaibo.desk.measuring import Settings, open_store
from kaibo.errors import KaiboError
from kaibo.models.addresses import text_of
from kaibo.scoring.memory import memory_of
from kaibo.scoring.planning import Plan, ScoreSettings
from kaibo.scoring.texts.texts import Document, Errors, read_texts
from kaibo.version import __version__
from kaibo.vocabulary import Finding, TokenLog
from kaibo.words import Note, note

T = TypeVar("T")


@dataclass(frozen=True)
class Shown:
    """What is said beside the numbers: a row for `each` text, the first `ids` that were read (exactly), and to whom
    the peak memory is told before anything is scored."""

    each: bool = False
    ids: int = 0
    tell: Callable[[str], None] | None = None


def score(
    models: Address | Iterable[Address],
    texts: Address | Iterable[Address],
    *,
    how: ScoreSettings | None = None,
    errors: Errors = "strict",
    shown: Shown | None = None,
    settings: Settings | None = None,
    on_error: OnError | None = None,
) -> Finding[ScoreRow]:
    """Perplexities of texts under models; the nats of every token stay in the store.

    `models` are addresses; a folder of checkpoints stands for all of them, sorted by step. A model that cannot be
    scored is given to `on_error` and the others go on. Raises what reading the texts raises, UsageError for windows
    that do not fit.
    """
    return _read(models, texts, how, errors, shown, settings, on_error)[0]


def score_against(
    base: Address,
    models: Address | Iterable[Address],
    texts: Address | Iterable[Address],
    *,
    how: ScoreSettings | None = None,
    errors: Errors = "strict",
    shown: Shown | None = None,
    settings: Settings | None = None,
    on_error: OnError | None = None,
) -> tuple[Finding[ScoreRow], Finding[LostRow]]:
    """The scores of a base and of models, and how many nats per token each model loses against the base.

    A quantised model against its weights, say; nothing is lost against a base that could not be scored. Raises what
    `score` raises.
    """
    finding, several = _read([base, *addresses(models)], texts, how, errors, shown, settings, on_error)
    own = next((logs for address, logs in several if address == text_of(base)), None)
    others = [] if own is None else [(address, logs) for address, logs in several if logs is not own]
    rows = tuple(lost(address, text_of(base), logs, own or ()) for address, logs in others)
    return finding, Finding(LOST, rows, (note("lost_paired"),) if rows else (), {"kaibo": __version__})


def _read(
    models: Address | Iterable[Address],
    texts: Address | Iterable[Address],
    how: ScoreSettings | None,
    errors: Errors,
    shown: Shown | None,
    settings: Settings | None,
    on_error: OnError | None,
) -> tuple[Finding[ScoreRow], list[tuple[str, tuple[TokenLog, ...]]]]:
    """Perplexities, and the logs that they are of by the addresses of the models."""
    shown = shown or Shown()
    documents = read_texts(texts, errors)
    several: list[tuple[str, tuple[TokenLog, ...]]] = []
    logs: list[ScoredText] = []
    notes: dict[Note, None] = {}
    memory: dict[str, int] = {}
    for step, scored, bytes_ in _scored(models, documents, how, settings, on_error, shown):
        several.append((scored.address, scored.logs))
        logs += texts_of(scored, step)
        memory[scored.address] = bytes_
        notes |= dict.fromkeys(scored.plan.notes)
        if shown.ids:
            notes[first_ids(scored, shown.ids)] = None
    finding = perplexity(logs, each=shown.each, memory=memory)
    return Finding(finding.kind, finding.rows, (*finding.notes, *notes), finding.provenance), several


def share_score(
    models: Address | Iterable[Address],
    texts: Address | Iterable[Address],
    shard: Shard,
    *,
    how: ScoreSettings | None = None,
    errors: Errors = "strict",
    settings: Settings | None = None,
    on_error: OnError | None = None,
) -> Iterator[Share]:
    """Scores a shard's part of the texts under each model, and says what was done; raises what `score` raises."""
    yield from _each(
        *(models, read_texts(texts, errors), how, settings, on_error),
        lambda scorer, opened, plan, label: scorer.share(opened, plan, shard, label),
    )


def scores(
    models: Address | Iterable[Address],
    documents: list[Document],
    *,
    how: ScoreSettings | None = None,
    settings: Settings | None = None,
    on_error: OnError | None = None,
) -> Iterator[Scored]:
    """The token logs of each model in turn, from the store where it has them."""
    for _, scored in scored_by_step(models, documents, how=how, settings=settings, on_error=on_error):
        yield scored


def scored_by_step(
    models: Address | Iterable[Address],
    documents: list[Document],
    *,
    how: ScoreSettings | None = None,
    settings: Settings | None = None,
    on_error: OnError | None = None,
) -> Iterator[tuple[int | None, Scored]]:
    """The same, each with the step that the checkpoint's name says."""
    for step, scored, _ in _scored(models, documents, how, settings, on_error, Shown()):
        yield step, scored


def _scored(
    models: Address | Iterable[Address],
    documents: list[Document],
    how: ScoreSettings | None,
    settings: Settings | None,
    on_error: OnError | None,
    shown: Shown,
) -> Iterator[tuple[int | None, Scored, int]]:
    """Step, logs and expected peak memory of each checkpoint."""

    def take(scorer: Scorer, opened: Opened, plan: Plan, label: str) -> tuple[int | None, Scored, int]:
        expected = memory_of(opened.model, plan, scorer.how)
        if shown.tell is not None:
            shown.tell(expected.note(opened.address))
        return opened.step, scorer.take(opened, plan, label), expected.total

    return _each(models, documents, how, settings, on_error, take)


def _each(
    models: Address | Iterable[Address],
    documents: list[Document],
    how: ScoreSettings | None,
    settings: Settings | None,
    on_error: OnError | None,
    take: Callable[[Scorer, Opened, Plan, str], T],
) -> Iterator[T]:
    """What `take` makes of each checkpoint that was opened, of how it will read the texts, and of its label."""
    settings, how, report = settings or Settings(), how or ScoreSettings(), on_error or raising
    several = checkpoints(models)
    with ahead_of(several, how) as ahead:
        scorer = Scorer(how, settings, open_store(settings.store), ahead)
        for label, opened in scorer.each(several, report):
            try:
                plan = scorer.plan(opened, documents)
                scorer.forget_tokenizers()
                yield take(scorer, opened, plan, label)
            except KaiboError as error:
                scorer.forgive(error, report)


Drawing = Literal["strip", "context"]


def token_losses(
    models: Address | Iterable[Address],
    texts: Address | Iterable[Address],
    drawing: Drawing = "strip",
    *,
    how: ScoreSettings | None = None,
    errors: Errors = "strict",
    settings: Settings | None = None,
    on_error: OnError | None = None,
) -> Finding[TokenCell] | Finding[ContextRow]:
    """The first tokens of the first text one by one (`strip`), or mean nats by tokens before (`context`)."""
    documents = read_texts(texts, errors)
    shown = [
        ShownText(scored.address, scored.model_id, log, document.text)
        for scored in scores(models, documents, how=how, settings=settings, on_error=on_error)
        for document, log in zip(scored.plan.documents, scored.logs, strict=True)
    ]
    return token_strip(shown) if drawing == "strip" else by_context(shown)
