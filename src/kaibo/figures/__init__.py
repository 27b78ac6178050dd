"""Findings in, pictures out: an Altair chart for every kind of finding that has one; nothing is computed here.

Each drawing is listed below, so that "go to definition" finds it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kaibo.errors import UsageError
from kaibo.figures import differences, digits, magnitudes, parameters, profile, style
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
    "norm-curve": {"curve": Figure(differences.curve, "diff.curve_title", "diff.curve_caption")},
    "diff-map": {"map": Figure(differences.change_map, "diff.map_title", "diff.map_caption")},
}
"""The drawings of each kind of finding, by name; the first is the one that `figure` draws unasked."""


def names(finding: Finding[Any]) -> tuple[str, ...]:
    """The names of the drawings that this finding has; none where there is nothing to draw."""
    empty = finding.kind == "inspect" and not any(row.parameters_by_role for row in finding.rows)
    return tuple(FIGURES.get(finding.kind, {})) if finding.rows and not empty else ()


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
