"""`kaibo norms`: can these be the norms of one vector, and in which ways are rows made that cannot?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from kaibo.chapters.norms import ways as ways_found
from kaibo.chapters.norms.consistency import consistent_norms
from kaibo.chapters.norms.rows import NORMS, NormsRow, SizeRow, WayRow
from kaibo.desk.addresses import Address
from kaibo.desk.measuring import Settings
from kaibo.models.adapters import open_base, open_tuned, vocabularies
from kaibo.models.derived.difference import difference_of
from kaibo.models.pairing import pair_models
from kaibo.version import __version__
from kaibo.vocabulary import Finding, Tensor
from kaibo.words import note

NOTES = (note("norms_rule"),)
STEP_NOTE = note("norms_steps")

BUFFER_BYTES = 4 << 20

Pairs = Mapping[str, tuple[Address, Address]]


def norms(reported: Iterable[tuple[int, float, float]], names: Sequence[str] = ()) -> Finding[NormsRow]:
    """Whether norms that somebody reported are possible: (number of values, L1, L2) for each vector.

    `names` are what to call them in tables and figures, one each or none. Raises UsageError for a number that is no
    norm.

    >>> [row.holds for row in norms([(8_030_261_248, 283154.5, 2.7612), (4, 2.0, 1.0)])]
    [False, True]
    """
    vectors = list(reported)
    called = [*names, *[None] * (len(vectors) - len(names))]
    rows = tuple(consistent_norms(n, l1, l2, name=name) for (n, l1, l2), name in zip(vectors, called, strict=True))
    stepped = any(row.l1_step or row.square_step for row in rows)
    return Finding(NORMS, rows, (*NOTES, *((STEP_NOTE,) if stepped else ())), {"kaibo": __version__})


def norm_ways(pairs: Pairs, *, settings: Settings | None = None) -> Finding[WayRow]:
    """The norms of differences as scripts compute them: rightly, in half precision, and averaged over tensors.

    `pairs` says what to call each difference, and between which two models it is (base, tuned). Differences are
    formed in float32, 4 MB at a time; what rounds is arithmetic, not storing. Raises what opening and reading raises.
    """
    settings = settings or Settings()
    taken = {name: ways_found.Ways() for name in pairs}
    for name, ways in taken.items():
        _take(pairs[name], [ways], settings)
    return ways_found.norm_ways(taken.items())


def norm_sizes(
    pairs: Pairs,
    factors: Sequence[float],
    *,
    reported: Finding[NormsRow] | None = None,
    settings: Settings | None = None,
) -> Finding[SizeRow]:
    """The same of each difference times each of `factors`: from which size of the change on which way breaks.

    Rows that were `reported` stand beside them. Each pair is read once. Raises what opening and reading raises.
    """
    settings = settings or Settings()
    taken: list[tuple[str, ways_found.Ways]] = []
    for name, pair in pairs.items():
        several = [ways_found.Ways(factor, serially=False) for factor in factors]
        _take(pair, several, settings)
        taken += [(name, ways) for ways in several]
    return ways_found.norm_sizes(taken, reported or ())


def _take(pair: tuple[Address, Address], several: Sequence[ways_found.Ways], settings: Settings) -> None:
    """Reads one pair of models once and gives each chunk to all of them."""
    before = open_base(pair[0], trust_shards=settings.trust_shards)
    after = open_tuned(pair[1], before, trust_shards=settings.trust_shards)
    paired = [difference_of(found) for found in pair_models(before, after, vocabularies(before, after)).pairs]
    settings.progress.begin(f"{after.name} - {before.name}", sum(one.size for one in paired), "values")
    for difference in paired:
        for values in _finite(difference, settings):
            for ways in several:
                ways.add(values)
        for ways in several if difference.size else ():
            ways.end_tensor()


def _finite(difference: Tensor, settings: Settings) -> Iterator[ways_found.Values]:
    """The finite differences of a tensor, a buffer's worth at a time."""
    for patterns in difference.chunks(np.empty(BUFFER_BYTES, np.uint8)):
        values = patterns.view(np.float32)
        settings.progress.advance(values.size)
        finite = np.isfinite(values)
        yield values if finite.all() else values[finite]
