"""Which checkpoints an address stands for: a model for itself, a folder of them for all, a nursery for its members."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from kaibo.desk.addresses import Address, addresses
from kaibo.errors import MissingError, PolicyError, escaped
from kaibo.models.runs.checkpoints import Checkpoint, checkpoint_at, checkpoints_of
from kaibo.recipes.nurseries.manifest import MANIFEST, read_manifest

CONFIGS = ("config.json", "adapter_config.json")


def checkpoints(models: Address | Iterable[Address]) -> list[Checkpoint]:
    """Each model with the step that its name says; a folder that holds checkpoints stands for them, sorted by step.

    The folder of a nursery, or of one of its runs, stands for the members that `nursery.json` lists in it, in its
    order and in the precision that it was trained in; adapters, which cannot be run alone, are left out.
    """
    found: list[Checkpoint] = []
    for address in addresses(models):
        if not _holds_models(address):
            found.append(checkpoint_at(address))
        elif (members := list(_members(address))) or _is_nursery(address):
            if not members:
                raise MissingError("the nursery lists no model that could be run", file=address)
            found += members
        else:
            found += checkpoints_of([address])
    return found


def _holds_models(folder: str) -> bool:
    """Whether a folder is no model itself and has folders in it."""
    try:
        names = os.listdir(folder)
    except OSError:  # no folder, or one that opening it will say more about
        return False
    return not set(CONFIGS) & set(names) and any(os.path.isdir(os.path.join(folder, name)) for name in names)


def _is_nursery(folder: str) -> bool:
    return os.path.isfile(os.path.join(folder, MANIFEST))


def _members(address: str) -> Iterator[Checkpoint]:
    """The members of a nursery that are in its folder, or in that of one run right below it."""
    home = next((one for one in (address, os.path.join(address, os.pardir)) if _is_nursery(one)), None)
    if home is None:
        return
    run = "" if home == address else os.path.basename(os.path.abspath(address))
    for member in read_manifest(Path(home)).get("members", []):
        path = member.get("path") if isinstance(member, dict) else None
        if not isinstance(path, str) or (run and path.split("/")[0] != run):
            continue
        inside = path.partition("/")[2] if run else path
        if os.path.isabs(path) or ".." in path.split("/"):
            raise PolicyError(f"lists {escaped(path)}, which lies outside", file=os.path.join(home, MANIFEST))
        folder = os.path.join(address, inside)
        if os.path.isfile(os.path.join(folder, "config.json")):
            step = member.get("step")
            yield Checkpoint(folder, str(member.get("name", inside)), step if isinstance(step, int) else None)
