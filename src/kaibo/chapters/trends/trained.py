"""How many tokens a run had read at each checkpoint: from a nursery's manifest or as told, never guessed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kaibo.models.runs.checkpoints import Checkpoint
from kaibo.recipes.nurseries.manifest import MANIFEST, read_manifest

ABOVE = 3
"""So many folders above a checkpoint a manifest is looked for."""


def trained_tokens(checkpoints: Sequence[Checkpoint], batch: int | None) -> tuple[float, ...] | None:
    """Tokens read at each checkpoint: `batch` × step where that is given, else as the manifest lists them, else None.

    Raises FormatError for a manifest that cannot be read.
    """
    if batch is not None:
        return tuple(float(batch * (one.step or 0)) for one in checkpoints)
    found = [_listed(Path(one.address)) for one in checkpoints]
    known = [float(tokens) for tokens in found if tokens is not None]
    return tuple(known) if len(known) == len(checkpoints) else None


def _listed(path: Path) -> int | None:
    if not path.is_dir():
        return None
    here = path.resolve()
    for folder in list(here.parents)[:ABOVE]:
        if (folder / MANIFEST).is_file():
            return next((_tokens(member) for member in _members(folder) if _is(folder, member, here)), None)
    return None


def _members(folder: Path) -> list[dict[str, Any]]:
    return [member for member in read_manifest(folder).get("members", []) if isinstance(member, dict)]


def _is(folder: Path, member: dict[str, Any], here: Path) -> bool:
    paths = (member.get("path"), member.get("bfloat16"))
    return any(isinstance(path, str) and (folder / path).resolve() == here for path in paths)


def _tokens(member: dict[str, Any]) -> int | None:
    tokens = member.get("tokens")
    return tokens if isinstance(tokens, int) and not isinstance(tokens, bool) and tokens > 0 else None
