"""Where the loss of a text lies, token by token: what `kaibo score --figure` draws."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from kaibo.analyses.token_losses import ContextRow, ShownText, TokenCell, by_context, token_strip
from kaibo.scoring.planning import ScoreSettings
from kaibo.scoring.texts import Errors, read_texts
from kaibo.verbs.addresses import Address, OnError
from kaibo.verbs.measuring import Settings
from kaibo.verbs.score import scores
from kaibo.vocabulary import Finding

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
