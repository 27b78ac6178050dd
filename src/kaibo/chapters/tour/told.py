"""A tour in sentences: each stop with its title, its formula, a text with live numbers, and the check."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kaibo.vocabulary import Finding
from kaibo.words import word

if TYPE_CHECKING:
    from rich.console import Console

    from kaibo.vocabulary.running import TourRow


def show_tour(finding: Finding[TourRow], *, to: Console | None = None, language: str = "en") -> None:
    """Prints the stops in order; a check says how far two ways of computing the same are apart."""
    from rich.text import Text

    from kaibo.reports.terminal import console

    out = console() if to is None else to
    for place, row in enumerate(finding, start=1):
        out.print(Text(f"{place}. {word(f'tour.{row.stop}_title', language)}", style="bold"))
        out.print(Text(f"   {row.formula}", style="cyan"))
        out.print(Text(f"   {stop_text(row, language)}"))
        out.print(Text(f"   {_check(row, language)}{row.source}", style="dim"))
        out.print()


def _check(row: TourRow, language: str) -> str:
    if row.difference is None:
        return ""
    difference = f"{row.difference:.1e}" if row.difference else "0"
    return word("tour.holds" if row.holds else "tour.fails", language, difference=difference) + "  "


def sentences(finding: Finding[TourRow], language: str = "en") -> tuple[str, ...]:
    """The stops for a page: title, formula, the text with live numbers, and the check."""
    return tuple(
        f"{word(f'tour.{row.stop}_title', language)} — {stop_text(row, language)} {_check(row, language)}".strip()
        for row in finding
    )


def stop_text(row: TourRow, language: str = "en") -> str:
    """The sentences of a stop with its numbers filled in."""
    shown = {name: f"{value:,.0f}" if value == int(value) else f"{value:.4g}" for name, value in row.numbers.items()}
    return word(f"tour.{row.stop}_text", language, **shown)
