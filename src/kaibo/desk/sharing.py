"""A command that does its part of the work: it says what it did and what to run next, and gives no verdict."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from kaibo.desk.answering import Answer, say
from kaibo.errors import escaped

if TYPE_CHECKING:
    from kaibo.collect.shards import Shard, Share
    from kaibo.desk.measuring import Settings

Part = Annotated[
    str | None,
    typer.Option("--shard", metavar="I/N", help="Do part I (0 to N − 1) of the work, into the store, and no more."),
]


@dataclass(frozen=True)
class Sharing:
    """Which part of the work is done."""

    shard: Part = None

    def done(
        self,
        answer: Answer,
        share: Callable[[Shard], Iterable[Share]],
        settings: Settings,
        left: Sequence[str] = (),
        language: str = "en",
    ) -> bool:
        """Whether a part was all that was asked for: it is done then, and the answer says so.

        `share` does the part of a shard; `left` are options that only the whole can answer. Raises UsageError for a
        shard that is none.
        """
        from kaibo.collect.shards import Shard

        if self.shard is None:
            return False
        shard = Shard.of(self.shard)
        _tell(answer, shard, list(share(shard)), settings, left, language)
        return True


def _tell(
    answer: Answer, shard: Shard, shares: Sequence[Share], settings: Settings, left: Sequence[str], language: str
) -> None:
    """Fills the answer with what was done and what comes next."""
    from kaibo.desk.measuring import open_store
    from kaibo.words import note, said

    answer.results = [{"shard": shard.index, "shards": shard.count, **vars(one)} for one in shares]
    store = os.fspath(open_store(settings.store).path)
    notes = [note("share_left", what=", ".join(left))] if left else []
    notes.append(note("share_next", store=store, count=shard.count))
    answer.warnings += [said(one, language) for one in notes]
    named = [{**vars(one), "unit": note(f"share_{one.unit}")} for one in shares]
    lines = [escaped(said(note("share_did", shard=str(shard), **values), language), 4000) for values in named]
    answer.show = lambda: say(sys.stdout, "\n".join(lines))
