"""A command that does its part of the work: it says what it did and what to run next, and gives no verdict."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from kaibo.desk.answering import Answer, say
from kaibo.errors import UsageError, escaped

if TYPE_CHECKING:
    from kaibo.collect.shards import Shard, Share
    from kaibo.desk.measuring import Settings

Part = Annotated[
    str | None,
    typer.Option("--shard", metavar="I/N", help="Do part I (0 to N − 1) of the work, into the store, and no more."),
]
Engine = Annotated[
    Literal["threads", "ray"],
    typer.Option("--engine", metavar="threads|ray", help="Work in threads here, or as tasks on a Ray cluster."),
]
Address = Annotated[
    str | None,
    typer.Option(
        "--address", metavar="HOST:PORT", help="The Ray cluster (auto finds one; default: one of its own here)."
    ),
]

COMMAND_LINE: ContextVar[tuple[str, ...]] = ContextVar("command line")
"""What this process was asked for: the tasks of a cluster are asked for the same."""


@dataclass(frozen=True)
class Sharing:
    """Which part of the work is done, and where."""

    shard: Part = None
    engine: Engine = "threads"
    address: Address = None

    def done(
        self,
        answer: Answer,
        share: Callable[[Shard], Iterable[Share]],
        settings: Settings,
        left: Sequence[str] = (),
        language: str = "en",
        *,
        device: str = "cpu",
        twice: bool = False,
    ) -> bool:
        """Whether a part was all that was asked for: it is done then, and the answer says so.

        `share` does the part of a shard; `left` are options that only the whole can answer. On a cluster all parts are
        done first (each on a GPU where the `device` is one; `twice` where a second pass follows from the first), and
        the command goes on with what is known then. Raises UsageError for a shard that is none and for an engine that
        does not fit.
        """
        from kaibo.collect.shards import Shard

        self._check()
        if self.engine == "ray":
            self._spread(answer, settings, device != "cpu", twice)
        if self.shard is None:
            return False
        shard = Shard.of(self.shard)
        _tell(answer, shard, list(share(shard)), settings, left, language)
        return True

    def _check(self) -> None:
        if self.engine == "ray" and self.shard is not None:
            raise UsageError("--engine ray does all parts, --shard one", next="leave one of them out")
        if self.engine != "ray" and self.address is not None:
            raise UsageError("--address is that of a Ray cluster", next="add --engine ray")

    def _spread(self, answer: Answer, settings: Settings, gpu: bool, twice: bool) -> None:
        from kaibo.collect.clusters import Cluster, spread
        from kaibo.desk.measuring import open_store

        store, cluster = open_store(settings.store), Cluster(self.address, settings.workers, gpu)
        answer.warnings += spread(COMMAND_LINE.get(), store, cluster, settings.progress, twice=twice)


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
