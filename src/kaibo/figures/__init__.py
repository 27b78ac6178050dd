"""Findings in, pictures out: any kind is drawn by the drawings that it declares; nothing is computed here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kaibo.errors import UsageError
from kaibo.figures import style
from kaibo.figures.export import FORMATS, render, save
from kaibo.vocabulary import Finding
from kaibo.words import LANGUAGES, word

if TYPE_CHECKING:
    import altair as alt

    from kaibo.vocabulary.kinds import Drawing

__all__ = ["FORMATS", "LANGUAGES", "caption", "figure", "render", "save", "shown_by"]


def shown_by(finding: Finding[Any]) -> tuple[str, ...]:
    """The names of the drawings that this finding has; none where there is nothing to draw."""
    return finding.kind.shows(finding)


def figure(finding: Finding[Any], *, name: str | None = None, language: str = "en") -> alt.TopLevelMixin:
    """The drawing called `name` of a finding (by default the first that shows something), as an Altair chart.

    Raises UsageError where the kind of finding has no such drawing, or the finding no rows.
    """
    chosen = _chosen(finding, name)
    draw = finding.kind.draws(chosen)
    return style.finished(draw(finding, language), caption(finding, name=chosen, language=language))


def caption(finding: Finding[Any], *, name: str | None = None, language: str = "en") -> str:
    """One to three sentences that tell a newcomer what the drawing shows and how to read it."""
    return word(drawing(finding, name).caption, language)


def drawing(finding: Finding[Any], name: str | None = None) -> Drawing:
    """How the kind declares the drawing called `name`, by default the first that shows something."""
    return finding.kind.figures[_chosen(finding, name)]


def _chosen(finding: Finding[Any], name: str | None) -> str:
    if not isinstance(finding, Finding):
        raise UsageError(
            f"a {type(finding).__name__} is not a finding", next="draw what kaibo.digits(…) gives, for instance"
        )
    figures = finding.kind.figures
    if not figures:
        raise UsageError(f"a {finding.kind} finding has no figure", next="its table and its JSON hold everything")
    if not finding.rows:
        raise UsageError(f"a {finding.kind} finding without rows cannot be drawn")
    chosen = name or next(iter(finding.kind.shows(finding)), next(iter(figures)))
    if chosen not in figures:
        raise UsageError(f"no figure {name!r} of {str(finding.kind)!r}", next=f"its figures: {', '.join(figures)}")
    return chosen
