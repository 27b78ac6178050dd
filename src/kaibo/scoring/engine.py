"""A plan and a model in, token logs out: batch by batch, each token once."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kaibo.errors import FormatError, UsageError
from kaibo.scoring.batches import Job
from kaibo.scoring.planning import Plan
from kaibo.vocabulary import LogKey, TokenLog

if TYPE_CHECKING:
    from kaibo.scoring.causal import Causal

Known = Collection[tuple[int, int]]
"""(document, window) pairs that need not be scored."""


def check_vocabulary(plan: Plan, vocabulary: int, file: str) -> None:
    """Raises UsageError for an id that the model has no row for, before the model (or a GPU) meets it."""
    highest = max((int(one.ids.max()) for one in plan.encoded if len(one)), default=-1)
    highest = max(highest, *plan.lead) if plan.lead else highest
    if highest >= vocabulary:
        message = f"the tokenizer gives id {highest}, the model has {vocabulary} rows"
        raise UsageError(message, file=file, next="is this the model's own tokenizer?")


def score(plan: Plan, model: Causal, keys: list[LogKey], known: Known = ()) -> Iterator[tuple[TokenLog, ...]]:
    """The windows of each batch as parts of their texts' logs; batches of which all is known are passed over.

    Raises FormatError where the model's logits are not numbers: such a checkpoint has no score.
    """
    from kaibo.scoring.losses import batch_nats

    for batch in plan.batches:
        missing = [job for job in batch if (job.document, job.place) not in known]
        if not missing:
            yield ()
            continue
        rows = [_row(plan, job) for job in batch]  # all of it: in other company the last digits would differ
        nats = batch_nats(model, rows, [_scored(job) for job in batch])
        if not all(np.isfinite(one).all() for one in nats):
            raise FormatError("gives logits that are not numbers; it is not scored", file=model.address)
        by_job = dict(zip(batch, nats, strict=True))
        yield tuple(_log(plan, job, by_job[job], keys[job.document]) for job in missing)


def _row(plan: Plan, job: Job) -> NDArray[np.int64]:
    ids = plan.encoded[job.document].ids[job.window.begin : job.window.end].astype(np.int64)
    return np.concatenate([np.array(plan.lead, np.int64), ids]) if job.window.lead else ids


def _scored(job: Job) -> slice:
    """The places of the scored tokens in the row that the model reads."""
    window = job.window
    shift = window.lead - window.begin
    return slice(window.first + shift, window.end + shift)


def _log(plan: Plan, job: Job, nats: NDArray[np.float32], key: LogKey) -> TokenLog:
    """The window's part of the log; a text's first token is in it also where it was not scored."""
    window, encoded = job.window, plan.encoded[job.document]
    first = min(window.first, window.begin) if window.begin == 0 and job.place == 0 else window.first
    positions = np.arange(first, window.end)
    padded = np.concatenate([np.full(window.first - first, np.nan, np.float32), nats])
    none = np.full(len(positions), -1, np.int32)
    return TokenLog(
        key=key,
        document=plan.documents[job.document].name,
        item=none,
        branch=none,
        window=np.full(len(positions), job.place, np.int32),
        position=positions,
        token_id=encoded.ids[first : window.end],
        characters=encoded.characters[first : window.end],
        bytes=encoded.bytes[first : window.end],
        nats=padded,
        context_length=(positions - window.begin + window.lead).astype(np.int32),
    )
