"""What its findings are; field names are the names that `--json` prints."""

from __future__ import annotations

from kaibo.vocabulary.kinds import Drawing, Kind
from kaibo.vocabulary.running import ContextRow

CONTEXT = Kind(
    "context", ContextRow, __package__, figures={"curves": Drawing("curves", "context.title", "context.caption")}
)
