"""What its findings are; field names are the names that `--json` prints."""

from __future__ import annotations

from kaibo.vocabulary.kinds import Drawing, Kind
from kaibo.vocabulary.running import TourRow

TOUR = Kind(
    "tour",
    TourRow,
    __package__,
    tells=True,
    columns=(
        "stop",
        "formula",
        "difference",
        "holds",
        "source",
    ),
    figures={
        "positions": Drawing("positions", "tour.positions_title", "tour.positions_caption"),
        "base": Drawing("base", "tour.base_title", "tour.base_caption"),
    },
)
