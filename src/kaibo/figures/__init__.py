"""Findings in, pictures out: an Altair chart for every kind of finding that has one; nothing is computed here.

Each drawing is listed below, so that "go to definition" finds it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kaibo.chapters.context import draw as context
from kaibo.chapters.correlate import draw as relation
from kaibo.chapters.corrupt import draw as corruption
from kaibo.chapters.diff import draw as differences
from kaibo.chapters.digits import draw as digit_groups
from kaibo.chapters.digits import draw as digits
from kaibo.chapters.eval import draw as evaluation
from kaibo.chapters.fine_tunes import draw as fine_tunes
from kaibo.chapters.generate import draw as formats
from kaibo.chapters.inspect import draw as anatomy
from kaibo.chapters.inspect import draw as parameters
from kaibo.chapters.law import draw as laws
from kaibo.chapters.merge import draw as merging
from kaibo.chapters.norms import draw as norms
from kaibo.chapters.pca import draw as components
from kaibo.chapters.pca import draw as tables_beside
from kaibo.chapters.published import draw as against
from kaibo.chapters.published import draw as paired
from kaibo.chapters.published import draw as passes
from kaibo.chapters.published import draw as shares
from kaibo.chapters.rescale import draw as digit_trials
from kaibo.chapters.rescale import draw as rescaling
from kaibo.chapters.score import draw as token_losses
from kaibo.chapters.series import draw as series
from kaibo.chapters.spectrum import draw as spectra
from kaibo.chapters.stats import draw as magnitudes
from kaibo.chapters.stats import draw as profile
from kaibo.chapters.tour import draw as tour
from kaibo.chapters.trajectories import draw as trajectories
from kaibo.chapters.trends import draw as trends
from kaibo.errors import UsageError
from kaibo.figures import style
from kaibo.figures.export import FORMATS, render, save
from kaibo.figures.words import LANGUAGES, word
from kaibo.vocabulary import Finding

if TYPE_CHECKING:
    import altair as alt

__all__ = ["FIGURES", "FORMATS", "LANGUAGES", "Figure", "caption", "figure", "names", "render", "save"]


@dataclass(frozen=True)
class Figure:
    """One drawing of a kind of finding: the function that draws it, and the keys of its title and caption."""

    draw: Callable[[Finding[Any], str], Any]
    title: str
    caption: str


FIGURES: Mapping[str, Mapping[str, Figure]] = {
    "inspect": {"parameters": Figure(parameters.by_role, "parameters.title", "parameters.caption")},
    "digits": {"digits": Figure(digits.bars, "digits.title", "digits.caption")},
    "profile": {
        "std": Figure(profile.std_over_depth, "profile.std_title", "profile.std_caption"),
        "kurtosis": Figure(profile.kurtosis_over_depth, "profile.kurtosis_title", "profile.kurtosis_caption"),
        "std_map": Figure(profile.std_map, "profile.std_map_title", "profile.std_map_caption"),
        "kurtosis_map": Figure(profile.kurtosis_map, "profile.kurtosis_map_title", "profile.kurtosis_map_caption"),
    },
    "magnitudes": {"magnitudes": Figure(magnitudes.histogram, "magnitudes.title", "magnitudes.caption")},
    "pca": {
        "explained": Figure(components.explained, "pca.explained_title", "pca.explained_caption"),
        "loadings": Figure(components.loadings, "pca.loadings_title", "pca.loadings_caption"),
        "plane": Figure(components.plane, "pca.plane_title", "pca.plane_caption"),
        "flops": Figure(components.against_flops, "pca.flops_title", "pca.flops_caption"),
    },
    "pca-tables": {"tables": Figure(tables_beside.shares, "pca.tables_title", "pca.tables_caption")},
    "law": {
        "predictions": Figure(laws.predictions, "law.predictions_title", "law.predictions_caption"),
        "errors": Figure(laws.errors, "law.errors_title", "law.errors_caption"),
    },
    "correlate": {"scatter": Figure(relation.scatter, "relation.title", "relation.scatter_caption")},
    "digit-groups": {"groups": Figure(digit_groups.dots, "digit_groups.title", "digit_groups.caption")},
    "digit-course": {"course": Figure(digit_groups.course, "digit_groups.course_title", "digit_groups.course_caption")},
    "law-trial": {"trial": Figure(digit_trials.beside_control, "law_trial.title", "law_trial.caption")},
    "rescale": {"range": Figure(rescaling.reach, "rescaling.title", "rescaling.caption")},
    "trajectories": {
        "perplexity": Figure(
            trajectories.perplexity, "trajectories.perplexity_title", "trajectories.perplexity_caption"
        ),
        "flops": Figure(trajectories.flops, "trajectories.flops_title", "trajectories.flops_caption"),
        "size": Figure(trajectories.sizes, "trajectories.size_title", "trajectories.size_caption"),
        "options": Figure(trajectories.options, "trajectories.options_title", "trajectories.options_caption"),
        "tokens": Figure(trajectories.tokens, "trajectories.tokens_title", "trajectories.tokens_caption"),
        "step": Figure(trajectories.steps, "trajectories.step_title", "trajectories.step_caption"),
        "r2": Figure(trajectories.what_explains, "trajectories.r2_title", "trajectories.r2_caption"),
    },
    "trends": {"shares": Figure(trends.shares, "trends.shares_title", "trends.shares_caption")},
    "trends-followed": {
        "by_step": Figure(trends.by_step, "trends.by_step_title", "trends.by_step_caption"),
        "by_perplexity": Figure(trends.by_perplexity, "trends.by_perplexity_title", "trends.by_perplexity_caption"),
    },
    "trends-containment": {
        "containment": Figure(trends.containment, "trends.containment_title", "trends.containment_caption")
    },
    "trends-descent": {"descent": Figure(trends.descent, "trends.descent_title", "trends.descent_caption")},
    "trends-pairs": {"pairs": Figure(trends.pairs, "trends.pairs_title", "trends.pairs_caption")},
    "trends-passages": {"passages": Figure(trends.passages, "trends.passages_title", "trends.passages_caption")},
    "eval": {"scores": Figure(evaluation.scores, "eval.title", "eval.caption")},
    "series-checkpoints": {
        "norm": Figure(series.norm, "series.norm_title", "series.norm_caption"),
        "distance": Figure(series.distance, "series.distance_title", "series.distance_caption"),
        "step_length": Figure(series.step_length, "series.step_length_title", "series.step_length_caption"),
        "rate": Figure(series.rate, "series.rate_title", "series.rate_caption"),
        "cosine": Figure(series.cosine, "series.cosine_title", "series.cosine_caption"),
        "mae": Figure(series.mae, "series.mae_title", "series.mae_caption"),
        "sigma": Figure(series.sigma, "series.sigma_title", "series.sigma_caption"),
        "stable_rank": Figure(series.stable_rank, "series.stable_rank_title", "series.stable_rank_caption"),
        "entropy_rank": Figure(series.entropy_rank, "series.entropy_rank_title", "series.entropy_rank_caption"),
    },
    "spectrum-tails": {"tails": Figure(spectra.tails, "spectrum.tails_title", "spectrum.tails_caption")},
    "spectrum": {
        "alpha": Figure(spectra.alpha_over_depth, "spectrum.alpha_title", "spectrum.alpha_caption"),
        "stable_rank": Figure(
            spectra.stable_rank_over_depth, "spectrum.stable_rank_title", "spectrum.stable_rank_caption"
        ),
    },
    "diff-spectrum": {
        "erank": Figure(spectra.erank_of_change, "spectrum.erank_title", "spectrum.erank_caption"),
        "rank": Figure(spectra.rank_of_change, "spectrum.rank_title", "spectrum.rank_caption"),
    },
    "corrupt": {"curves": Figure(corruption.curves, "corrupt.title_uniform", "corrupt.caption")},
    "score-tokens": {"strip": Figure(token_losses.strip, "score.strip_title", "score.strip_caption")},
    "score-context": {"context": Figure(token_losses.by_context, "score.context_title", "score.context_caption")},
    "context": {"curves": Figure(context.curves, "context.title", "context.caption")},
    "tour": {
        "positions": Figure(tour.positions, "tour.positions_title", "tour.positions_caption"),
        "base": Figure(tour.base, "tour.base_title", "tour.base_caption"),
    },
    "norms": {"norms": Figure(norms.reported, "norms.title", "norms.caption")},
    "norm-ways": {"ways": Figure(norms.ways, "norms.ways_title", "norms.ways_caption")},
    "norm-sizes": {"sizes": Figure(norms.sizes, "norms.sizes_title", "norms.sizes_caption")},
    "fine-tunes": {"lengths": Figure(fine_tunes.lengths, "fine_tunes.lengths_title", "fine_tunes.lengths_caption")},
    "fine-tune-pairs": {
        "distances": Figure(fine_tunes.distances, "fine_tunes.distances_title", "fine_tunes.distances_caption")
    },
    "fine-tune-ratios": {"ratios": Figure(fine_tunes.ratios, "fine_tunes.ratios_title", "fine_tunes.ratios_caption")},
    "fine-tune-methods": {
        "methods": Figure(fine_tunes.methods, "fine_tunes.methods_title", "fine_tunes.methods_caption")
    },
    "fine-tune-kept": {"kept": Figure(fine_tunes.kept, "fine_tunes.kept_title", "fine_tunes.kept_caption")},
    "fine-tune-ranks": {"ranks": Figure(fine_tunes.ranks, "fine_tunes.ranks_title", "fine_tunes.ranks_caption")},
    "norm-curve": {"curve": Figure(differences.curve, "diff.curve_title", "diff.curve_caption")},
    "conflict-map": {"conflict": Figure(merging.conflict_map, "merge.map_title", "merge.map_caption")},
    "conflicts": {"survival": Figure(merging.survival, "merge.survival_title", "merge.survival_caption")},
    "distances": {"map": Figure(differences.distance_map, "diff.distances_title", "diff.distances_caption")},
    "against": {"panels": Figure(against.panels, "against.title", "against.caption")},
    "paired": {"differences": Figure(paired.differences, "paired.title", "paired.caption")},
    "pass-curves": {"curves": Figure(passes.curves, "passes.title", "passes.caption")},
    "shares": {"bars": Figure(shares.bars, "shares.title", "shares.caption")},
    "anatomy-roles": {"roles": Figure(anatomy.roles, "anatomy.roles_title", "anatomy.roles_caption")},
    "anatomy-cache": {"cache": Figure(anatomy.cache, "anatomy.cache_title", "anatomy.cache_caption")},
    "anatomy-memory": {"memory": Figure(anatomy.memory, "anatomy.memory_title", "anatomy.memory_caption")},
    "anatomy-reach": {"reach": Figure(anatomy.reach, "anatomy.reach_title", "anatomy.reach_caption")},
    "formats": {"costs": Figure(formats.costs, "formats.title", "formats.caption")},
    "diff-map": {"map": Figure(differences.change_map, "diff.map_title", "diff.map_caption")},
}
"""The drawings of each kind of finding, by name; the first is the one that `figure` draws unasked."""


def names(finding: Finding[Any]) -> tuple[str, ...]:
    """The names of the drawings that this finding has; none where there is nothing to draw."""
    empty = finding.kind == "inspect" and not any(row.parameters_by_role for row in finding.rows)
    if not finding.rows or empty or finding.kind not in FIGURES:
        return ()
    return tuple(name for name in FIGURES[finding.kind] if _has(finding, name))


def _has(finding: Finding[Any], name: str) -> bool:
    """Whether a drawing of the table side has something to show; all others always do."""
    if finding.kind == "pca":
        row = finding.rows[0]
        return bool(row.explained) and (name != "flops" or any(one.n >= 3 for one in row.family_lines))
    if finding.kind == "trends":
        return trends.has(finding, name)
    if finding.kind == "eval":
        return evaluation.has_shares(finding)
    if finding.kind == "fine-tune-ratios":
        return fine_tunes.has(finding)
    if finding.kind == "series-checkpoints":
        return series.has(finding, name)
    if finding.kind in ("spectrum", "diff-spectrum"):
        return spectra.has_depth(finding, name)
    if finding.kind == "trajectories":
        return trajectories.has(finding, name)
    return True


def figure(finding: Finding[Any], *, name: str | None = None, language: str = "en") -> alt.TopLevelMixin:
    """The drawing called `name` of a finding (the first in `FIGURES` by default), as an Altair chart.

    Raises UsageError where the kind of finding has no such drawing, or the finding no rows.
    """
    chosen = _chosen(finding, name)
    return style.finished(chosen.draw(finding, language), caption(finding, name=name, language=language))


def caption(finding: Finding[Any], *, name: str | None = None, language: str = "en") -> str:
    """One to three sentences that tell a newcomer what the drawing shows and how to read it."""
    many = finding.kind == "digits" and len(finding.rows) > digits.MOST_PANELS
    return word("digits.caption_map" if many else _chosen(finding, name).caption, language)


def _chosen(finding: Finding[Any], name: str | None) -> Figure:
    if not isinstance(finding, Finding):
        raise UsageError(
            f"a {type(finding).__name__} is no finding", next="draw what kaibo.digits(…) gives, for instance"
        )
    drawings = FIGURES.get(finding.kind)
    if drawings is None:
        raise UsageError(f"no figure for {finding.kind!r}", next=f"kinds with one: {', '.join(FIGURES)}")
    if not finding.rows:
        raise UsageError(f"a {finding.kind} finding without rows cannot be drawn")
    chosen = drawings.get(name or next(iter(drawings)))
    if chosen is None:
        raise UsageError(f"no figure {name!r} of {finding.kind!r}", next=f"its figures: {', '.join(drawings)}")
    return chosen
