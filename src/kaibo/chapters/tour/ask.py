"""`kaibo tour`: the identities of an architecture, computed as you watch."""

from __future__ import annotations

from kaibo.chapters.tour.rows import TOUR
from kaibo.errors import UsageError
from kaibo.version import __version__
from kaibo.vocabulary import Finding
from kaibo.vocabulary.running import TourRow

TOURS = ("llama",)


def tour(of: str = "llama", *, seed: int = 0) -> Finding[TourRow]:
    """The stops of a tour; each says what was computed two ways, and how far the two are apart.

    Raises UsageError for a tour that does not exist, MissingError without the extra `torch`.
    """
    if of not in TOURS:
        raise UsageError(f'there is no tour of "{of}"', next=f"tours: {', '.join(TOURS)}")
    import kaibo.llama

    return Finding(TOUR, kaibo.llama.walk(seed), (), {"kaibo": __version__, "models": {}})
