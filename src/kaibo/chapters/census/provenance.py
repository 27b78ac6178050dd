"""Where a finding came from: the models it read, by content, and the version that computed it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kaibo.version import __version__
from kaibo.vocabulary import Row


def provenance(rows: Sequence[Row], **settings: Any) -> dict[str, Any]:
    """The models (address → model_id) behind a finding, kaibo's version, and the settings used."""
    models = {row.model: row.model_id for row in rows}
    return {"models": models, "kaibo": __version__, **({"settings": settings} if settings else {})}
