"""What was finished and is on its way to the store: tensors, pairs, and what goes with several of them."""

from __future__ import annotations

import time

from kaibo.collect.censuses import FLUSH_BYTES, FLUSH_SECONDS
from kaibo.store import Counted, CrossedPair, Paired, SignsOfAll, Store
from kaibo.vocabulary import Census

Finished = Counted | Paired | CrossedPair | SignsOfAll


class Pending:
    """Finished tensors, pairs and what goes with them on their way to the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._finished: list[Finished] = []
        self._bytes, self._since = 0, time.monotonic()

    def add(self, finished: Finished, census: Census | None = None) -> None:
        """Keeps it for the next part; a lane's are added before `settle` may write them."""
        self._finished.append(finished)
        self._bytes += 0 if census is None else census.nbytes

    def settle(self) -> None:
        """A lane is complete: writes a part if it is time for one."""
        if self._bytes >= FLUSH_BYTES or time.monotonic() - self._since >= FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Writes everything."""
        counted = [one for one in self._finished if isinstance(one, Counted)]
        paired = {one.content: one for one in self._finished if isinstance(one, Paired)}
        crossed = {one.content: one for one in self._finished if isinstance(one, CrossedPair)}
        signs = {one.content: one for one in self._finished if isinstance(one, SignsOfAll)}
        if counted:
            self._store.record(list({one.source_key or one.content: one for one in counted}.values()))
        if paired:
            self._store.record_pairs(list(paired.values()))
        if crossed:
            self._store.record_crossed(list(crossed.values()))
        if signs:
            self._store.record_signs(list(signs.values()))
        self._finished, self._bytes, self._since = [], 0, time.monotonic()
