"""`kaibo.questions.fine_tunes`: fine-tunes of one base, by method and learning rate, their changes side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kaibo.chapters.diff.ask import taken_together
from kaibo.chapters.diff.ask_spectrum import spectra_of_change
from kaibo.chapters.diff.change_spectra import change_spectra
from kaibo.chapters.diff.rows import ChangeSpectrum, DifferenceCell
from kaibo.chapters.fine_tunes import changes as found
from kaibo.chapters.fine_tunes import pairs as fine_tune_pairs
from kaibo.chapters.fine_tunes.rows import ApartRow, FineTune, KeptRow, MethodRow, RankRow, RatioRow, TunedRow
from kaibo.collect.differences import Together
from kaibo.desk.addresses import OnError, raising
from kaibo.desk.measuring import Settings
from kaibo.errors import UsageError
from kaibo.vocabulary import CrossRow, Finding, PairRow


@dataclass(frozen=True)
class FineTunes:
    """What was found about fine-tunes of one base; a cell is a method at a learning rate.

    `norms` has how far each went, `pairs` how far those of one cell are apart, `ratios` whether data sets are further
    apart than seeds, `methods` one method against another, `kept` what the largest changes hold, `map` where the
    changes are, `ranks` their effective rank.
    """

    norms: Finding[TunedRow]
    pairs: Finding[ApartRow]
    ratios: Finding[RatioRow]
    methods: Finding[MethodRow]
    kept: Finding[KeptRow]
    map: Finding[DifferenceCell]
    ranks: Finding[RankRow]


def fine_tunes(
    tuned: Sequence[FineTune],
    *,
    ranks: bool = True,
    settings: Settings | None = None,
    on_error: OnError | None = None,
) -> FineTunes:
    """Compares fine-tunes of one base with it, with their parents and with each other, method by method.

    Those of one learning rate are read side by side, each tensor once; with `ranks` their changes are decomposed, too.
    Models that cannot be read are given to `on_error`. Raises UsageError for fine-tunes of several bases.
    """
    settings, report = settings or Settings(), on_error or raising
    if len({one.base for one in tuned}) > 1:
        raise UsageError("these are fine-tunes of several bases", next="compare those of one base at a time")
    named = {one.address: one for one in tuned}
    from_base = [
        taken_together(one[0].base, [each.address for each in one], settings, report) for one in _by_rate(tuned)
    ]
    on_top = [
        taken_together(parent, [one.address for one in tuned if one.parent == parent], settings, report)
        for parent in dict.fromkeys(one.parent for one in tuned if one.parent != one.base)
    ]
    rows, above = _rows(from_base), _rows(on_top)
    crosses: list[CrossRow] = [row for one in from_base for row in one.crosses]
    coarse = found.bf16_resolutions(rows)
    spectra = [row for one in (*from_base, *on_top) for row in _spectra(one, named, settings, report)] if ranks else []
    return FineTunes(
        norms=found.tuned_norms([("base", rows), ("parent", above)], named),
        pairs=fine_tune_pairs.apart(crosses, named, coarse),
        ratios=fine_tune_pairs.ratios(crosses, named),
        methods=fine_tune_pairs.methods(crosses, named),
        kept=found.kept_norms(_own(rows, above, named), named),
        map=found.cell_map(_own(rows, above, named), named),
        ranks=found.cell_ranks(spectra, named),
    )


def _by_rate(tuned: Sequence[FineTune]) -> list[list[FineTune]]:
    rates: dict[float, list[FineTune]] = {}
    for one in tuned:
        rates.setdefault(one.learning_rate, []).append(one)
    return [rates[rate] for rate in sorted(rates)]


def _rows(taken: Sequence[Together]) -> list[PairRow]:
    return [row for together in taken for one in together.compared for row in one.rows]


def _own(rows: Sequence[PairRow], above: Sequence[PairRow], named: dict[str, FineTune]) -> list[PairRow]:
    """What each fine-tune itself changed: against its parent."""
    return [row for row in (*rows, *above) if named[row.difference.model].parent == row.base]


def _spectra(taken: Together, named: dict[str, FineTune], settings: Settings, report: OnError) -> list[ChangeSpectrum]:
    """The spectra of what each fine-tune itself changed."""
    out: list[ChangeSpectrum] = []
    for one in taken.compared:
        base, tuned = one.base.model.address, one.tuned.model.address
        if named[tuned].parent != base:
            continue
        rows, failures = spectra_of_change(one, settings)
        out += change_spectra(rows, base).rows
        for failure in failures:
            report(failure)
    return out
