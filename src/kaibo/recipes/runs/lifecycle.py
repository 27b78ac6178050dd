"""The folder of a run through its life: finished and known, begun and taken up, or new; closed when all is made."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kaibo.errors import StorageError
from kaibo.recipes.runs.account import ACCOUNT, CHECKPOINTS, STATE, read_account, read_state, write_json
from kaibo.recipes.settings.schema import Recipe


def known_run(folder: Path, identity: str, force: bool) -> dict[str, Any] | None:
    """The account of a run that is finished with the same inputs. Raises StorageError for one with others."""
    account = read_account(folder)
    if account is None:
        return None
    if account["fingerprint"] == identity:
        return account
    if not force:
        raise _other(folder, account)
    (folder / ACCOUNT).unlink()
    return None


def begin_run(folder: Path, recipe: Recipe, identity: str, force: bool) -> str:
    """Notes in the folder what is made there; `resumed` where the same was begun before, else `trained`."""
    how = "resumed" if _begun(folder, identity, force) else "trained"
    write_json(folder / STATE, {"fingerprint": identity, "recipe": recipe.record()})
    return how


def finish_run(folder: Path, account: Mapping[str, Any]) -> None:
    """Writes the account, which says that the run is finished, and takes away what it was resumed from."""
    write_json(folder / ACCOUNT, account)
    (folder / STATE).unlink(missing_ok=True)
    shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)


def _begun(folder: Path, identity: str, force: bool) -> bool:
    """Whether a run with these inputs was begun here; one with other inputs is cleared away where that is allowed."""
    state = read_state(folder)
    if state is not None and state["fingerprint"] == identity:
        return True
    if state is not None and not force:
        raise _other(folder, state)
    if state is None and folder.is_dir() and any(folder.iterdir()) and not force:
        raise StorageError("holds files that no run of kaibo left", file=folder, next="choose another --out")
    for name in (CHECKPOINTS, "adapter", "model", "merged") if state is not None or force else ():
        shutil.rmtree(folder / name, ignore_errors=True)
    return False


def _other(folder: Path, found: dict[str, Any]) -> StorageError:
    message = f"holds a run with other inputs ({found['fingerprint']})"
    return StorageError(message, file=folder, next="name the run otherwise, choose another --out, or pass --force")
