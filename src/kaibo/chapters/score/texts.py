"""Logs of texts as what perplexities are made of, and the ids that a model read first."""

from __future__ import annotations

import os
from collections.abc import Iterator

from kaibo.chapters.score.perplexity import ScoredText
from kaibo.collect.scores import Scored
from kaibo.scoring.texts.words import words


def texts_of(scored: Scored, step: int | None = None) -> Iterator[ScoredText]:
    """Each text's log with what it is divided by."""
    for document, log in zip(scored.plan.documents, scored.logs, strict=True):
        found = log.characters[log.scored]
        yield ScoredText(
            model=scored.address,
            model_id=scored.model_id,
            step=step,
            log=log,
            words=words(document.text, int(found[0, 0])) if len(found) else 0,
            vocabulary=scored.plan.vocabulary,
        )


def first_ids(scored: Scored, count: int) -> str:
    """The exact ids that a model reads first, as a note."""
    first = " ".join(str(number) for number in scored.plan.first_ids(count))
    name = os.path.basename(scored.address.rstrip("/"))
    return f"{name}: the first ids read are {first}"
