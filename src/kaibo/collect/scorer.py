"""Checkpoint after checkpoint scored in one process, one model in memory: what every verb that scores texts shares."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from kaibo.collect.censuses import Options, take_identity
from kaibo.collect.scores import Scored, share_scores, take_scores
from kaibo.collect.shards import Shard, Share
from kaibo.collect.watch.progress import Progress
from kaibo.collect.watch.stopping import Stopping
from kaibo.collect.watch.workers import granted_workers
from kaibo.errors import KaiboError
from kaibo.llama.engines.functions import Running, function_of
from kaibo.models import open_model
from kaibo.models.opening import local_of
from kaibo.models.runs.checkpoints import Checkpoint
from kaibo.models.tokenizer_files import carried_tokenizer, carrier_of
from kaibo.scoring.memory import give_back
from kaibo.scoring.planning import Plan, ScoreSettings, plan
from kaibo.scoring.prefetch import Ahead
from kaibo.scoring.texts.texts import Document
from kaibo.scoring.texts.tokens import FILES, Tokenizer, load_tokenizer
from kaibo.store import Store
from kaibo.vocabulary import Function, Model

if TYPE_CHECKING:
    from kaibo.scoring.causal import Causal


OnError = Callable[[KaiboError], None]
"""What is done with the error of one checkpoint, after which the others go on."""


class Reading(Protocol):
    """How checkpoints are read; the settings of every verb are one."""

    @property
    def workers(self) -> int | None: ...  # noqa: D102
    @property
    def verify(self) -> bool: ...  # noqa: D102
    @property
    def trust_shards(self) -> bool: ...  # noqa: D102
    @property
    def fail_fast(self) -> bool: ...  # noqa: D102
    @property
    def progress(self) -> Progress: ...  # noqa: D102


def ahead_of(several: Sequence[Checkpoint], how: ScoreSettings) -> AbstractContextManager[Ahead | None]:
    """A reader of the next checkpoint for the block, where that was asked for and there is one."""
    return Ahead() if how.prefetch and len(several) > 1 else nullcontext()


@dataclass(frozen=True)
class Opened:
    """A checkpoint that was found and hashed, not yet loaded.

    `folder` is where its files are on this machine, `tokens` the hash of those that its tokenizer is made of.
    """

    address: str
    step: int | None
    model: Model
    model_id: str
    folder: str
    tokens: str
    _tokenizer: Callable[[str, str], Tokenizer] = field(repr=False)

    @property
    def tokenizer(self) -> Tokenizer:
        """Its tokenizer, loaded again where it was let go."""
        return self._tokenizer(self.tokens, self.folder)

    def function(self, tokenizer_hash: str, how: Running) -> Function:
        """The model as what answers under these settings: the key of whatever it answers."""
        return function_of(self.model, self.model_id, tokenizer_hash, how, self.step)

    @property
    def context(self) -> int | None:
        """How many tokens the model was made to read, as its config says; None where it says nothing."""
        for name in ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length"):
            value = self.model.config.get(name)
            if isinstance(value, int) and not isinstance(value, bool) and value > 1:
                return value
        return None


@dataclass
class Scorer:
    """Scores texts under one checkpoint after another: tokenised once for each tokenizer, weights swapped in place.

    With `ahead` the weights of the next checkpoint are read from disk while one is scored: two are then in memory.
    """

    how: ScoreSettings
    settings: Reading
    store: Store
    ahead: Ahead | None = None
    _tokenizers: dict[str, Tokenizer] = field(default_factory=dict)
    _sound: set[str] = field(default_factory=set)
    _plans: dict[tuple[str, int | None, tuple[str, ...]], Plan] = field(default_factory=dict)
    _causal: Causal | None = None
    _next: str | None = None
    _stopping: Stopping = field(default_factory=Stopping)

    def open(self, checkpoint: Checkpoint) -> Opened:
        """The checkpoint's identity and tokenizer. Raises whatever opening and hashing it raise."""
        target = local_of(checkpoint.address)
        model = open_model(checkpoint.address, trust_shards=self.settings.trust_shards)
        options = Options(granted_workers(self.settings.workers), self.settings.verify, self.settings.progress)
        model_id = take_identity(model, self.store, options)
        folder = carrier_of(target) or target.root
        tokens = _hashed(folder, model.config)
        if tokens not in self._sound:
            self._tokenizer(tokens, folder)  # whatever is wrong with it concerns this checkpoint
        return Opened(checkpoint.address, checkpoint.step, model, model_id, folder, tokens, self._tokenizer)

    def forget_tokenizers(self) -> None:
        """Lets go of the tokenizers: a large vocabulary takes memory that nobody needs once texts are planned."""
        if self._tokenizers:
            self._tokenizers.clear()
            give_back()

    def plan(self, opened: Opened, documents: Sequence[Document]) -> Plan:
        """How the checkpoint will read the texts; made once for all checkpoints with this tokenizer and context."""
        key = opened.tokens, opened.context, tuple(document.hash for document in documents)
        if key not in self._plans:
            self._plans[key] = plan(opened.tokenizer, documents, self.how, opened.context)
        return self._plans[key]

    def take(self, opened: Opened, wanted: Plan, label: str | None = None) -> Scored:
        """The logs of a plan's texts under a checkpoint, from the store where it has them."""
        loaded = lambda: self._loaded(opened)  # noqa: E731 - called only if something is missing
        function = opened.function(wanted.tokenizer_hash, Running(self.how.dtype, self.how.device, self.how.rope))
        return take_scores(function, wanted, loaded, self.store, self.settings.progress, label=label)

    def share(self, opened: Opened, wanted: Plan, shard: Shard, label: str | None = None) -> Share:
        """A shard's batches of a plan under a checkpoint, measured where the store lacks them."""
        loaded = lambda: self._loaded(opened)  # noqa: E731 - called only if something is missing
        function = opened.function(wanted.tokenizer_hash, Running(self.how.dtype, self.how.device, self.how.rope))
        return share_scores(function, wanted, shard, loaded, self.store, self.settings.progress, label=label)

    def each(self, several: Sequence[Checkpoint], on_error: OnError) -> Iterator[tuple[str, Opened]]:
        """Every checkpoint opened, in turn, with a label for its progress; one that cannot be goes to `on_error`."""
        with Stopping() as self._stopping:
            for place, checkpoint in enumerate(several, 1):
                label = checkpoint.address if len(several) == 1 else f"{place}/{len(several)} {checkpoint.name}"
                self._stopping.check()
                try:
                    opened = self.open(checkpoint)
                except KaiboError as error:
                    self.forgive(error, on_error)
                    continue
                self._next = several[place].address if place < len(several) else None
                yield label, opened

    def forgive(self, error: KaiboError, on_error: OnError) -> None:
        """Gives the error of one checkpoint to `on_error`; raises those that concern all of them."""
        if self.settings.fail_fast or error.kind in ("storage", "stopped", "usage"):
            raise error
        on_error(error)

    def _tokenizer(self, tokens: str, folder: str) -> Tokenizer:
        """The folder's tokenizer; loaded once where several checkpoints bring the same files."""
        if tokens not in self._tokenizers:
            self._tokenizers[tokens] = load_tokenizer(folder)
            self._sound.add(tokens)
        return self._tokenizers[tokens]

    def _loaded(self, opened: Opened) -> Causal:
        """The model with its weights; at most one is in memory, two while the next is read ahead."""
        if self._causal is None or self._causal.address != opened.address:
            self._causal = self._swapped(opened)
        self._stopping.check()  # loading takes long enough for a signal to come
        self._read_ahead(self._causal)
        return self._causal

    def _swapped(self, opened: Opened) -> Causal:
        from kaibo.scoring.causal import Causal

        values = None if self.ahead is None else self.ahead.take(opened.address)
        before, self._causal = self._causal, None
        if before is not None and before.swap(opened.model, values):
            return before
        del before, values  # a model of another shape is gone before its successor comes
        how = self.how
        return Causal(opened.model, dtype=how.dtype, device=how.device, rope=how.rope)

    def _read_ahead(self, causal: Causal) -> None:
        """Begins with the next checkpoint once this one's weights are where they belong, so that two are in memory."""
        following, self._next = self._next, None
        if self.ahead is not None and following is not None and not following.startswith("hf:"):
            trust = self.settings.trust_shards
            self.ahead.begin(following, lambda: causal.values(open_model(following, trust_shards=trust)))


def _hashed(folder: str, config: Mapping[str, Any]) -> str:
    """One hash of all that a tokenizer is made of: its files, and the kind of model, which chooses its class."""
    if os.path.isfile(folder):
        return hashlib.sha256(carried_tokenizer(folder).encode("utf-8", "surrogateescape")).hexdigest()
    digest = hashlib.sha256(f"{config.get('model_type')}\0{config.get('tokenizer_class')}".encode())
    for name in FILES:
        path = os.path.join(folder, name)
        if os.path.isfile(path):
            with open(path, "rb") as file:
                digest.update(f"\0{name}\0".encode() + hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
