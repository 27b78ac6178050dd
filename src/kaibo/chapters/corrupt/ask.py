"""`kaibo corrupt`: perplexity of corrupted text over the share replaced, beside the floor that no model can beat."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from kaibo.chapters.corrupt.corruption import CorruptedText, corruption
from kaibo.chapters.corrupt.floors import entropies_without, entropy, orderings
from kaibo.chapters.corrupt.rows import CorruptRow
from kaibo.collect.scorer import Opened, Scorer, ahead_of
from kaibo.desk.addresses import Address, OnError, raising
from kaibo.desk.checkpoints import checkpoints
from kaibo.desk.measuring import Settings, open_store
from kaibo.errors import KaiboError, UsageError
from kaibo.scoring.planning import Plan, ScoreSettings
from kaibo.scoring.texts.corruption import Corruption, Mode, Source, Unit, Words, corrupted, rewritten, source, words_of
from kaibo.scoring.texts.texts import Document, Errors, read_texts
from kaibo.scoring.texts.tokens import Tokenizer
from kaibo.vocabulary import Finding, TokenLog

SHARES = (0.0, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0)


@dataclass(frozen=True)
class CorruptSettings:
    """How texts are corrupted: at each of `shares`, with `draws` seeds from `seed` on; the rest as `Corruption`."""

    shares: tuple[float, ...] = SHARES
    mode: Mode = "uniform"
    unit: Unit = "token"
    seed: int = 0
    draws: int = 1
    differ: bool = False

    def __post_init__(self) -> None:
        if self.draws < 1:
            raise UsageError(f"{self.draws} draws are none", next="give --draws 1 or more")
        if not self.shares:
            raise UsageError("no share to replace was given", next="--share 0,0.5,1")
        list(self.all())  # each says what is wrong with it

    def all(self) -> Iterator[Corruption]:
        """Every corruption, share by share; the clean text, which no seed changes, comes once."""
        for share in sorted(set(self.shares)):
            for seed in range(self.seed, self.seed + (1 if share == 0 else self.draws)):
                yield Corruption(share, self.mode, self.unit, seed, self.differ)


@dataclass(frozen=True, eq=False)
class Altered:
    """Texts after a corruption, ready to be scored: `codes` of their units, which were `replaced`, where they stand.

    `spans` are (units, 2) in characters for words, None where a unit is a token.
    """

    how: Corruption
    plan: Plan
    source: Source
    before: tuple[NDArray[np.int64], ...] = field(repr=False)
    codes: tuple[NDArray[np.int64], ...] = field(repr=False)
    replaced: tuple[NDArray[np.bool_], ...] = field(repr=False)
    spans: tuple[NDArray[np.int64] | None, ...] = field(repr=False)


def corrupt(
    models: Address | Iterable[Address],
    texts: Address | Iterable[Address],
    *,
    what: CorruptSettings | None = None,
    how: ScoreSettings | None = None,
    errors: Errors = "strict",
    settings: Settings | None = None,
    on_error: OnError | None = None,
) -> Finding[CorruptRow]:
    """Perplexities of texts of which more and more is replaced, under models; every token's nats stay in the store.

    A model that cannot be scored is given to `on_error` and the others go on. Raises what reading the texts raises,
    UsageError for shares that are no fractions and for windows that do not fit.
    """
    what, how = what or CorruptSettings(), how or ScoreSettings()
    settings, report = settings or Settings(), on_error or raising
    maker = _Maker(read_texts(texts, errors), what)
    found: list[CorruptedText] = []
    notes: dict[str, None] = {}
    several = checkpoints(models)
    with ahead_of(several, how) as ahead:
        scorer = Scorer(how, settings, open_store(settings.store), ahead)
        for label, opened in scorer.each(several, report):
            try:
                for altered in maker.altered(scorer, opened):
                    found += _texts(opened, altered, scorer.take(opened, altered.plan, label).logs)
                    notes |= dict.fromkeys(altered.plan.notes)
            except KaiboError as error:
                scorer.forgive(error, report)
    finding = corruption(found)
    return Finding(finding.kind, finding.rows, (*finding.notes, *notes), finding.provenance)


@dataclass
class _Maker:
    """Makes the corrupted texts once for each tokenizer and context."""

    documents: list[Document]
    what: CorruptSettings
    _made: dict[tuple[str, int | None], list[Altered]] = field(default_factory=dict)

    def altered(self, scorer: Scorer, opened: Opened) -> list[Altered]:
        """The texts at every share and seed, as this checkpoint will read them."""
        key = opened.tokens, opened.context
        if key not in self._made:
            make = self._by_token if self.what.unit == "token" else self._by_word
            self._made[key] = make(scorer, opened)
        return self._made[key]

    def _by_token(self, scorer: Scorer, opened: Opened) -> list[Altered]:
        clean = scorer.plan(opened, self.documents)
        before = tuple(one.ids.astype(np.int64) for one in clean.encoded)
        return [self._tokens(clean, before, opened.tokenizer, how) for how in self.what.all()]

    def _tokens(self, clean: Plan, before: tuple[NDArray[np.int64], ...], by: Tokenizer, how: Corruption) -> Altered:
        """Ids are replaced in place: windows and batches stay, and spans are those of what stood there."""
        drawn_from = source(how, by.ordinary, before)
        made = [corrupted(ids, how, drawn_from, one.hash) for ids, one in zip(before, clean.documents, strict=True)]
        codes, replaced = tuple(one[0] for one in made), tuple(one[1] for one in made)
        encoded = tuple(replace(one, ids=ids.astype(np.int32)) for one, ids in zip(clean.encoded, codes, strict=True))
        documents = tuple(replace(one, origin=how.origin) for one in clean.documents)
        plan = clean if how.share == 0 else replace(clean, documents=documents, encoded=encoded)
        return Altered(how, plan, drawn_from, before, codes, replaced, (None,) * len(codes))

    def _by_word(self, scorer: Scorer, opened: Opened) -> list[Altered]:
        """Texts with other words are other texts: each is tokenised, and kept under its own hash."""
        once = list({document.hash: document for document in self.documents}.values())
        words = words_of(once)
        return [self._written(scorer, opened, once, words, how) for how in self.what.all()]

    def _written(
        self, scorer: Scorer, opened: Opened, once: Sequence[Document], words: Words, how: Corruption
    ) -> Altered:
        drawn_from = source(how, np.arange(len(words.listed)), words.codes)
        made = [corrupted(codes, how, drawn_from, one.hash) for codes, one in zip(words.codes, once, strict=True)]
        codes = [one[0] for one in made]
        written = [rewritten(one, new, words.listed) for one, new in zip(once, codes, strict=True)]
        plan = scorer.plan(opened, once if how.share == 0 else _apart([document for document, _ in written]))
        masks, spans = tuple(one[1] for one in made), tuple(span for _, span in written)
        return Altered(how, plan, drawn_from, words.codes, tuple(codes), masks, spans)


def _apart(documents: Sequence[Document]) -> list[Document]:
    """Texts that corruption made equal are still two texts: those after the first say so in their hash."""
    seen: dict[str, int] = {}
    found = []
    for document in documents:
        times = seen[document.hash] = seen.get(document.hash, 0) + 1
        found.append(document if times == 1 else replace(document, origin=f"the same again, {times}"))
    return found


def _texts(opened: Opened, altered: Altered, logs: Sequence[TokenLog]) -> Iterator[CorruptedText]:
    """Each text's log with which of its tokens were replaced, and the least nats that these cost."""
    for at, log in enumerate(logs):
        marked, counted = _counted(log, altered.replaced[at], altered.spans[at])
        yield CorruptedText(
            model=opened.address,
            model_id=opened.model_id,
            step=opened.step,
            share=altered.how.share,
            seed=altered.how.seed,
            mode=altered.how.mode,
            unit=altered.how.unit,
            log=log,
            marked=marked,
            replaced=int(counted.sum()),
            floor=_floor(altered, at, counted),
            vocabulary=int((altered.source.counts > 0).sum()),
        )


def _counted(
    log: TokenLog, replaced: NDArray[np.bool_], spans: NDArray[np.int64] | None
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which tokens belong to a replaced unit, and which replaced units are scored from their first token on."""
    if spans is None:
        marked = replaced[log.position]
        counted = np.zeros(len(replaced), bool)
        counted[log.position[log.scored & marked]] = True
        return marked, counted
    middle = log.characters[:, 0]
    at = np.searchsorted(spans[:, 1], middle, "right")  # the word that the token begins in, or the next one
    at = np.minimum(at, max(len(spans) - 1, 0))
    marked = replaced[at] & (log.characters[:, 1] > spans[at, 0]) if len(spans) else np.zeros(len(log), bool)
    scored = log.characters[log.scored]
    first = int(scored[0, 0]) if len(scored) else 0
    return marked, replaced & (spans[:, 0] >= first)


def _floor(altered: Altered, at: int, counted: NDArray[np.bool_]) -> float:
    """The entropy of what was drawn for the counted units of a text, in nats."""
    how, counts = altered.how, altered.source.counts
    if not counted.any():
        return 0.0
    if how.mode == "shuffle":
        return orderings(altered.codes[at][counted])
    if how.differ:
        return float(entropies_without(counts, altered.source.of(altered.before[at][counted])).sum())
    return int(counted.sum()) * entropy(counts)
