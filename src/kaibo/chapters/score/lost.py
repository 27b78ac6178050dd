"""What one model's tokens cost more under another: paired, token by token, so that the text's own spread drops out."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from kaibo.chapters.score.perplexity import LEAST, clusters, safe_exp
from kaibo.chapters.score.rows import LostRow
from kaibo.uncertainty.intervals import ratio_interval
from kaibo.vocabulary import TokenLog
from kaibo.words import note

NUMBERS = ("nats_more", "nats_more_low", "nats_more_high", "ppl_times", "less_likely", "most_lost")


def lost(model: str, base: str, others: Sequence[TokenLog], own: Sequence[TokenLog]) -> LostRow:
    """A model's logs beside the base's of the same texts, in the same order.

    Without tokens that both scored, or where the two read other tokens, there are no numbers; without an interval
    fewer than `LEAST` tokens were scored.
    """
    tokens = sum(int(log.scored.sum()) for log in own)
    if not all(_alike(one, two) for one, two in zip(others, own, strict=True)):
        return LostRow(model, base, tokens, why=dict.fromkeys(NUMBERS, note("lost_other_tokens")))
    if not tokens:
        return LostRow(model, base, 0, why=dict.fromkeys(NUMBERS, note("lost_nothing")))
    more = np.concatenate([
        one.nats[one.scored].astype(np.float64) - two.nats[two.scored] for one, two in zip(others, own, strict=True)
    ])  # fmt: skip
    (theirs, sizes), (ours, _) = clusters(others), clusters(own)
    ends = ratio_interval(theirs - ours, sizes, 0, signed=True) if tokens >= LEAST else None
    low, high = ends or (None, None)
    mean = math.fsum(more.tolist()) / tokens
    why: dict[str, str] = (
        {} if ends else dict.fromkeys(("nats_more_low", "nats_more_high"), note("lost_few", least=LEAST))
    )
    return LostRow(
        model, base, tokens, mean, low, high, safe_exp(mean), float(np.mean(more > 0)), float(more.max()), why
    )


def _alike(one: TokenLog, two: TokenLog) -> bool:
    """Whether the same tokens were read and scored."""
    return np.array_equal(one.token_id, two.token_id) and np.array_equal(one.scored, two.scored)
