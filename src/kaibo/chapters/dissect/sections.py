"""The chapters of a dissection: what is found of one model, and of what changed from its base."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from kaibo.chapters.check.ask import examined, faults_of
from kaibo.chapters.check.rows import CHECK, CheckRow, FaultRow
from kaibo.chapters.diff.ask import Differences, DiffOptions, exact_bins, gathered
from kaibo.chapters.diff.ask_adapters import Adapters, adapters_of
from kaibo.chapters.diff.differences import PERCENTS
from kaibo.chapters.digits import benford
from kaibo.chapters.digits.rows import DigitsRow
from kaibo.chapters.dissect.highlights import Changed, Highlight, highlights
from kaibo.chapters.inspect.ask import inspect
from kaibo.chapters.stats import magnitudes, profile, statistics
from kaibo.chapters.stats.rows import MagnitudeRow, ProfileRow, StatsRow
from kaibo.collect import Collected
from kaibo.collect.differences import Compared
from kaibo.desk.measuring import Settings, with_notes
from kaibo.models.packings import packed_as
from kaibo.vocabulary import LEVELS, Architecture, Finding, Model
from kaibo.vocabulary.seen import with_seen


@dataclass(frozen=True)
class Chapters:
    """The findings of one model, each level of digits and statistics in the order of `LEVELS`.

    `diff` is what changed from the base, a level each, empty where no base was named; `adapters` what is to be said
    of a model that is an adapter of it, None where no base was named.
    """

    check: Finding[CheckRow]
    inspect: Finding[Architecture]
    digits: tuple[Finding[DigitsRow], ...]
    stats: tuple[Finding[StatsRow], ...]
    profile: Finding[ProfileRow]
    magnitudes: Finding[MagnitudeRow]
    highlights: tuple[Highlight, ...]
    diff: tuple[Differences, ...] = ()
    adapters: Adapters | None = None

    @property
    def of_adapter(self) -> list[Finding[Any]]:
        """What was found of an adapter, as far as there is any."""
        return [found for found in self.adapters.findings if found.rows] if self.adapters is not None else []

    @property
    def faults(self) -> Finding[FaultRow]:
        """What is wrong with the model."""
        return faults_of(self.check)

    @property
    def parts(self) -> Iterator[list[Finding[Any]]]:
        """The findings under each heading of the page; a chapter without rows is left out."""
        candidates: tuple[list[Finding[Any]], ...] = (
            [self.check, self.faults, faults_of(self.check, remarks=True)],
            [self.inspect],
            list(self.digits),
            [self.magnitudes],
            [self.profile],
            list(self.stats),
        )
        return (findings for findings in candidates if findings[0].rows)


def chapters_of(
    collected: Collected, compared: tuple[Compared, ...], *, tokens: int | None, settings: Settings
) -> Chapters:
    """Every chapter of a model that was counted, and of what changed from a base that it was compared with."""
    rows = collected.rows
    seen = collected.model.seen
    digits = tuple(with_seen(benford.digits(rows, by), lambda _: seen) for by in LEVELS)
    stats = tuple(with_seen(statistics.stats(rows, by), lambda _: seen) for by in LEVELS)
    over_depth = profile.profile(rows)
    diff = _changed(compared, settings)
    verdict = examined(collected, compared[0] if compared else None)
    return Chapters(
        check=Finding(CHECK, (verdict,)),
        inspect=inspect(collected.model.address, tokens=tokens, trust_shards=settings.trust_shards),
        digits=digits,
        stats=(with_notes(stats[0], [collected]), *stats[1:]),
        profile=over_depth,
        magnitudes=magnitudes.magnitudes(rows),
        highlights=highlights(
            digits[0], stats[0], stats[3], over_depth, _first(compared, diff), _stored(collected.model)
        ),
        diff=diff,
        adapters=adapters_of(compared, settings=settings) if compared else None,
    )


def _stored(model: Model) -> tuple[str, ...]:
    """How the weights lie in their files, where some are packed."""
    found = {tensor.name: packed_as(tensor) for tensor in model.weights}
    ways = {_named(found[tensor.name] or tensor.dtype.name) for tensor in model.weights}
    return tuple(sorted(ways)) if any(found.values()) else ()


def _named(way: str) -> str:
    """A packing without how it is undone.

    >>> _named("Q4_K blocks"), _named("F8_E4M3 codes multiplied by weight_scale_inv"), _named("4-bit codes of GPTQ, v1")
    ('Q4_K', 'F8_E4M3', '4-bit codes of GPTQ')
    """
    return way.partition(",")[0].partition(" multiplied")[0].removesuffix(" codes").removesuffix(" blocks")


def _first(compared: tuple[Compared, ...], diff: tuple[Differences, ...]) -> Changed | None:
    """What is to be said first where a base was named."""
    if not compared:
        return None
    whole = diff[0].norms.rows[0] if diff[0].norms.rows else None
    return Changed(compared[0].base.model.address, whole, len(diff[0].unmatched.rows))


def _changed(compared: tuple[Compared, ...], settings: Settings) -> tuple[Differences, ...]:
    if not compared:
        return ()
    resolved = exact_bins(compared, PERCENTS, settings)
    return tuple(gathered(compared, by, DiffOptions(PERCENTS), resolved=resolved) for by in LEVELS)
