"""`kaibo diff`: what changed between a base and the models made from it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations

from kaibo.chapters.diff import differences, distances, seeds
from kaibo.chapters.diff.largest import counted, needed
from kaibo.chapters.diff.pair_rows import (
    CONFLICT,
    DISTANCES,
    ORDER,
    PAIRS,
    SEEDS,
    ConflictRow,
    DistanceCell,
    OrderRow,
    PairwiseRow,
    SeedRow,
)
from kaibo.chapters.diff.rows import (
    CHANGES,
    COVERAGE,
    MAPPING,
    UNMATCHED,
    ChangeRow,
    CoverageRow,
    CurveRow,
    DifferenceCell,
    DifferenceRow,
    MappingRow,
    TrimmedRow,
    UnmatchedRow,
)
from kaibo.chapters.diff.seeds import Label
from kaibo.collect import Options
from kaibo.collect.differences import Compared, Together, share_differences, take_difference, take_differences
from kaibo.collect.resolving import resolved_bins, share_bins
from kaibo.collect.shards import Shard, Share
from kaibo.desk.addresses import Address, OnError, addresses, raising
from kaibo.desk.measuring import Settings, open_store
from kaibo.errors import KaiboError, UsageError
from kaibo.models import open_model
from kaibo.models.adapters import open_base, open_tuned, vocabularies
from kaibo.models.derived.difference import difference_of
from kaibo.models.formats.adapter import WEIGHTS as ADAPTERS
from kaibo.models.pairing import Pairing, Unmatched, pair_models
from kaibo.models.pairing.comparing import Change, changes
from kaibo.store import Store
from kaibo.vocabulary import By, CrossRow, Finding, Model, Tensor
from kaibo.vocabulary.counts.resolved import ByContent
from kaibo.vocabulary.seen import with_seen
from kaibo.words import Note, about, note


@dataclass(frozen=True)
class Differences:
    """All that was found between a base and models made from it.

    `changes` is what differs beside the weights, `norms` the numbers at the level asked for, `curve` the norm@k
    curve, `depth` how much each role changed in each layer, `unmatched` what could not be compared. Of two or more
    tuned models, `pairs` has the distances between them, `pairs_by` the same at the level asked for, `conflict`
    where their signs disagree, `order` that of their clustering, `distances` the cells of the heat map, and `seeds`
    whether data sets are further apart than seeds.
    """

    changes: Finding[ChangeRow]
    norms: Finding[DifferenceRow]
    curve: Finding[CurveRow]
    depth: Finding[DifferenceCell]
    pairs: Finding[PairwiseRow]
    unmatched: Finding[UnmatchedRow]
    pairs_by: Finding[PairwiseRow] = field(default_factory=lambda: Finding(PAIRS, ()))
    conflict: Finding[ConflictRow] = field(default_factory=lambda: Finding(CONFLICT, ()))
    order: Finding[OrderRow] = field(default_factory=lambda: Finding(ORDER, ()))
    distances: Finding[DistanceCell] = field(default_factory=lambda: Finding(DISTANCES, ()))
    seeds: Finding[SeedRow] = field(default_factory=lambda: Finding(SEEDS, ()))
    compared: tuple[Compared, ...] = field(repr=False, default=())

    @property
    def mapping(self) -> Finding[MappingRow]:
        """The pairs that did not meet as they are: fused parts, other names, layouts undone, tables by token."""
        found = ((_addressed(one), pair) for one in self.compared for pair in one.pairing.mapping)
        return Finding(MAPPING, tuple(MappingRow(*both, pair.base, pair.tuned, pair.how) for both, pair in found))

    @property
    def coverage(self) -> Finding[CoverageRow]:
        """How much of each model is compared."""
        found = ((_addressed(one), side) for one in self.compared for side in one.pairing.coverage)
        return Finding(COVERAGE, tuple(CoverageRow(*both, s.side, s.values, s.bytes) for both, s in found))

    @property
    def trimmed(self) -> Finding[TrimmedRow]:
        """What the largest n % are, a row each."""
        return differences.trimmed_norms(self.norms)

    def _repr_html_(self) -> str:
        return self.norms._repr_html_()


def _addressed(one: Compared) -> tuple[str, str]:
    return one.base.model.address, one.tuned.model.address


@dataclass(frozen=True)
class DiffOptions:
    """What is asked of differences beside their level.

    `top` are the percents of the largest |Δ| whose norms are given, of `all` values, those of `linear` layers or
    those that `changed`; with `exact` their thresholds are resolved by a second pass, else bounds are given. `labels`
    say by its address on which data set and under which seed a tuned model was trained; with them the distance
    between data sets is set against that between seeds.
    """

    top: Sequence[float] = (20.0,)
    of: str = "all"
    exact: bool = True
    labels: Mapping[str, Label] = field(default_factory=dict)


def diff(
    base: Address,
    tuned: Address | Iterable[Address],
    by: By = "model",
    *,
    options: DiffOptions | None = None,
    settings: Settings | None = None,
    on_error: OnError | None = None,
) -> Differences:
    """What changed from `base` to each tuned model, by model, layer, role or tensor, and between the tuned models.

    All models are read side by side, each tensor once, and nothing that the store knows is read again; `options` say
    what else is asked. A model that cannot be opened is given to `on_error` and the others go on. Raises UsageError
    for an unknown level or a percent outside (0, 100], and whatever opening the base raises.
    """
    settings, asked = settings or Settings(), options or DiffOptions()
    _check(asked.top)
    counted((), asked.of)
    together = taken_together(base, addresses(tuned), settings, on_error or raising)
    resolved: ByContent = {}
    if asked.exact:
        store = open_store(settings.store)
        resolved = resolved_of(together.compared, asked.top, asked.of, store, settings.options())
    return gathered(together.compared, by, asked, resolved=resolved, together=together)


def taken_together(base: Address, tuned: Sequence[str], settings: Settings, report: OnError) -> Together:
    """A base and the models made from it that can be opened, measured in one pass; errors are given to `report`."""
    before = open_base(base, trust_shards=settings.trust_shards)
    opened = list(_opened(before, tuned, settings, report))
    together = take_differences(before, opened, open_store(settings.store), settings.options())
    for failure in {failure.line: failure for one in together.compared for failure in one.failures}.values():
        report(failure)
    return together


def _opened(base: Model, tuned: Sequence[str], settings: Settings, report: OnError) -> Iterator[tuple[Model, Pairing]]:
    """Each tuned model that can be opened, paired with the base; the others are reported."""
    for address in tuned:
        try:
            model = open_tuned(address, base, trust_shards=settings.trust_shards)
            yield model, _paired(base, model)
        except KaiboError as error:
            if settings.fail_fast or error.kind in ("storage", "stopped"):
                raise
            report(error)


def share_diff(
    base: Address,
    tuned: Address | Iterable[Address],
    shard: Shard,
    *,
    options: DiffOptions,
    settings: Settings,
    on_error: OnError,
    also: Sequence[Address] = (),
) -> list[Share]:
    """Reads a shard's part of what `diff` reads, and says what was done; `also` are models that are counted alone.

    Which bins hold the thresholds of the largest n % follows from all parts: where the store has them, a shard
    resolves its part of these.
    """
    _check(options.top)
    counted((), options.of)
    before = open_base(base, trust_shards=settings.trust_shards)
    opened = list(_opened(before, addresses(tuned), settings, on_error))
    beside = [open_model(one, trust_shards=settings.trust_shards) for one in also]
    store = open_store(settings.store)
    found = share_differences(before, opened, shard, store, settings.options(), beside)
    for failure in found.failures:
        on_error(failure)
    if not (options.exact and found.whole and opened):
        return list(found.shares)
    compared = take_differences(before, opened, store, replace(settings.options(), verify=False)).compared
    tensors, wanted = _thresholds(compared, options.top, options.of)
    return [*found.shares, share_bins(found.shares[0].work, tensors, wanted, shard, store, settings.options())]


def resolved_of(
    compared: Sequence[Compared], top: Sequence[float], of: str, store: Store, options: Options
) -> ByContent:
    """The bins that the thresholds of all compared models fall in, value by value."""
    return resolved_bins(*_thresholds(compared, top, of), store, options)


def _thresholds(
    compared: Sequence[Compared], top: Sequence[float], of: str
) -> tuple[dict[str, Tensor], dict[str, set[int]]]:
    """The differences by their content, and the upper halves of the bins that thresholds fall in."""
    tensors: dict[str, Tensor] = {}
    wanted: dict[str, set[int]] = {}
    for one in compared:
        rows = [row.difference for row in one.rows]
        names = {pair.base.canonical: pair for pair in one.pairing.pairs}
        tensors |= {row.content: difference_of(names[row.tensor]) for row in rows}
        for content, uppers in needed(rows, top, of).items():
            wanted.setdefault(content, set()).update(uppers)
    return tensors, wanted


def _check(top: Sequence[float]) -> None:
    for percent in top:
        if not 0 < percent <= 100:
            raise UsageError(f"{percent} % is no share", next="give a percent above 0, at most 100")


def compare(base: Model, tuned: Model, store: Store, options: Options) -> Compared:
    """Two opened models, paired and measured; tables are aligned through the tokenizers beside the weights."""
    return take_difference(base, tuned, _paired(base, tuned), store, options)


def _paired(base: Model, tuned: Model) -> Pairing:
    return pair_models(base, tuned, vocabularies(base, tuned))


def compare_addresses(base: Address, tuned: Address, settings: Settings) -> Compared:
    """The same for two addresses. Raises what opening raises, and the first tensor's error where one cannot be read."""
    before = open_base(base, trust_shards=settings.trust_shards)
    after = open_tuned(tuned, before, trust_shards=settings.trust_shards)
    compared = compare(before, after, open_store(settings.store), settings.options())
    if compared.failures:
        raise compared.failures[0]
    return compared


def exact_bins(compared: Sequence[Compared], top: Sequence[float], settings: Settings) -> ByContent:
    """What makes the thresholds of models that were compared exact."""
    return resolved_of(compared, top, "all", open_store(settings.store), settings.options())


def gathered(
    compared: Sequence[Compared],
    by: By,
    options: DiffOptions,
    *,
    resolved: ByContent | None = None,
    together: Together | None = None,
) -> Differences:
    """The findings of models that were compared with one base; `together` is what they are beside each other."""
    rows, top, of = [row for one in compared for row in one.rows], options.top, options.of
    seen = {_addressed(one): min(one.base.model.seen, one.tuned.model.seen) for one in compared}
    found = differences.differences(rows, by, top, of=of, resolved=resolved)
    norms = with_seen(found, lambda row: seen[row.base, row.tuned])
    crosses, signs = ((), ()) if together is None else (together.crosses, together.signs)
    notes = dict.fromkeys((*(told for one in compared for told in _notes(one)), *_apart(compared, crosses)))
    pairs = distances.pairs(crosses, "model", top, of)
    order = distances.order(pairs.rows)
    return Differences(
        changes=Finding(CHANGES, tuple(row for one in compared for row in _changes(one))),
        norms=Finding(norms.kind, norms.rows, (*norms.notes, *pairs.notes, *notes), norms.provenance),
        curve=differences.norm_curve(rows),
        depth=differences.change_map(rows),
        pairs=pairs,
        pairs_by=pairs if by == "model" else distances.pairs(crosses, by, top, of),
        unmatched=Finding(
            UNMATCHED, tuple(_unmatched(one, lone) for one in compared for lone in one.pairing.unmatched)
        ),
        conflict=distances.conflict(signs, by),
        order=order,
        distances=distances.distances(pairs.rows, order.rows),
        seeds=seeds.seeds(pairs.rows, options.labels),
        compared=tuple(compared),
    )


def _changes(one: Compared) -> Iterator[ChangeRow]:
    base, tuned = one.base.model, one.tuned.model
    found: list[Change] = changes(base, tuned, vocabularies(base, tuned))
    for change in found:
        yield ChangeRow(base.address, tuned.address, change.what, change.before, change.after, change.full)


def _unmatched(one: Compared, lone: Unmatched) -> UnmatchedRow:
    addressed = one.base.model.address, one.tuned.model.address
    return UnmatchedRow(*addressed, lone.side, lone.tensor, lone.shape, lone.n, lone.share, lone.why)


def _notes(one: Compared) -> Iterator[Note]:
    tuned = os.path.basename(one.tuned.model.address.rstrip("/"))
    yield from one.base.model.notes
    yield from one.tuned.model.notes
    for told in (*one.pairing.notes, one.pairing.coverage_note):
        yield about(tuned, told)
    if _published(one.base.model) and _published(one.tuned.model):
        same = [pair for pair in one.pairing.pairs if pair.base.source_key == pair.tuned.source_key is not None]
        if same:
            yield about(tuned, note("diff_published", count=len(same), total=len(one.pairing.pairs)))
    for side in ("base", "tuned"):
        lone = [found for found in one.pairing.unmatched if found.side == side]
        if lone:
            share = 100 * sum(found.share for found in lone)
            yield about(tuned, note(f"diff_lone_{side}", count=len(lone), share=f"{share:.3g}"))


def _published(model: Model) -> bool:
    """Whether the hub says what a model's files are; an adapter's other tensors are those of its base."""
    return model.address.startswith("hf:") and not any(name in ADAPTERS for name in model.files)


def _apart(compared: Sequence[Compared], crosses: Sequence[CrossRow]) -> Iterator[Note]:
    """What two tuned models share with the base and not with each other, since other rows of it meet theirs."""
    met: dict[tuple[str, str], set[str]] = {}
    for row in crosses:
        met.setdefault((row.a, row.b), set()).add(row.tensor)
    for one, other in combinations(compared, 2):
        both = {row.difference.tensor for row in one.rows} & {row.difference.tensor for row in other.rows}
        names = one.tuned.model.address, other.tuned.model.address
        left = len(both - met.get(names, set()))
        if left:
            a, b = (os.path.basename(name.rstrip("/")) for name in names)
            yield note("diff_apart", a=a, b=b, count=left)
