"""`kaibo score`: what checkpoints think of every token of a text, kept, and the perplexities that follow."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kaibo.analyses.perplexity import ScoredText, ScoreRow, perplexity
from kaibo.collect import Options, granted_workers, take_census
from kaibo.collect.scores import Scored, take_scores
from kaibo.errors import KaiboError
from kaibo.models import open_model
from kaibo.models.opening import target_of
from kaibo.scoring.planning import Plan, ScoreSettings, plan
from kaibo.scoring.texts import Document, Errors, read_texts
from kaibo.scoring.tokens import Tokenizer, load_tokenizer
from kaibo.scoring.words import words
from kaibo.store import Store
from kaibo.verbs.addresses import Address, OnError, addresses, raising
from kaibo.verbs.measuring import Settings, open_store
from kaibo.vocabulary import Finding, Model

if TYPE_CHECKING:
    from kaibo.scoring.causal import Causal


@dataclass
class Scorer:
    """Scores texts under one model after another: tokenised once for each tokenizer, weights swapped in place."""

    documents: list[Document]
    how: ScoreSettings
    settings: Settings
    store: Store
    _plans: dict[tuple[str, int | None], Plan] = field(default_factory=dict)
    _causal: Causal | None = None

    def score(self, address: str) -> Scored:
        """The logs of one model. Raises whatever opening, reading and scoring it raise."""
        model = open_model(address, trust_shards=self.settings.trust_shards)
        options = Options(granted_workers(self.settings.workers), self.settings.verify, self.settings.progress)
        taken = take_census(model, self.store, options)
        if taken.failures:
            raise taken.failures[0]
        folder = target_of(address, weights=True).root
        tokenizer = load_tokenizer(folder)
        found = self._plan(tokenizer, context_of(model))
        return take_scores(
            address, taken.model_id, found, lambda: self._loaded(model, folder), self.store, self.settings.progress
        )

    def _plan(self, tokenizer: Tokenizer, context: int | None) -> Plan:
        key = tokenizer.hash, context
        if key not in self._plans:
            self._plans[key] = plan(tokenizer, self.documents, self.how, context)
        return self._plans[key]

    def _loaded(self, model: Model, folder: str) -> Causal:
        """The model with its weights; at most one is in memory."""
        from kaibo.scoring.causal import open_causal

        if self._causal is not None and self._causal.swap(model):
            return self._causal
        self._causal = None
        how = self.how
        self._causal = open_causal(model, folder, dtype=how.dtype, device=how.device, rope=how.rope)
        return self._causal


def context_of(model: Model) -> int | None:
    """How many tokens a model was made to read, as its config says; None where it says nothing."""
    for name in ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length"):
        value = model.config.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and value > 1:
            return value
    return None


def score(
    models: Address | Iterable[Address],
    texts: Address | Iterable[Address],
    *,
    how: ScoreSettings | None = None,
    errors: Errors = "strict",
    each: bool = False,
    settings: Settings | None = None,
    on_error: OnError | None = None,
) -> Finding[ScoreRow]:
    """Perplexities of texts under models; the nats of every token stay in the store.

    A model that cannot be scored is given to `on_error` and the others go on. Raises what reading the texts raises,
    UsageError for windows that do not fit.
    """
    settings = settings or Settings()
    documents = read_texts(texts, errors)
    scored = list(scores(models, documents, how=how, settings=settings, on_error=on_error))
    finding = perplexity([text for one in scored for text in texts_of(one)], each=each)
    notes = dict.fromkeys(note for one in scored for note in notes_of(one))
    return Finding(finding.kind, finding.rows, (*finding.notes, *notes), finding.provenance)


def scores(
    models: Address | Iterable[Address],
    documents: list[Document],
    *,
    how: ScoreSettings | None = None,
    settings: Settings | None = None,
    on_error: OnError | None = None,
) -> Iterator[Scored]:
    """The token logs of each model in turn, from the store where it has them."""
    settings = settings or Settings()
    report = on_error or raising
    scorer = Scorer(documents, how or ScoreSettings(), settings, open_store(settings.store))
    for address in addresses(models):
        try:
            yield scorer.score(address)
        except KaiboError as error:
            if settings.fail_fast or error.kind in ("storage", "stopped", "usage"):
                raise
            report(error)


def texts_of(scored: Scored) -> Iterator[ScoredText]:
    """Each text's log with what it is divided by."""
    for document, log in zip(scored.plan.documents, scored.logs, strict=True):
        found = log.characters[log.scored]
        yield ScoredText(
            model=scored.address,
            model_id=scored.model_id,
            step=None,
            log=log,
            words=words(document.text, int(found[0, 0])) if len(found) else 0,
            vocabulary=scored.plan.vocabulary,
        )


def notes_of(scored: Scored) -> tuple[str, ...]:
    """What a reader of the numbers should know: how the text was cut, and what came first."""
    first = " ".join(str(number) for number in scored.plan.first_ids())
    name = os.path.basename(scored.address.rstrip("/"))
    return (*scored.plan.notes, f"{name}: the first ids read are {first}")
