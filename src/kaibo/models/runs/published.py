"""Revisions of the hub by what it publishes of them: their commits, and the hashes of their weight files.

`hf:org/name@step*` names the branches and tags of a repository that match, `hf:org/name-{70m,160m}@step*` those of
several repositories. One request says a repository's branches and tags, one more the files of each commit.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fnmatch import fnmatchcase

from kaibo.errors import MissingError, UsageError
from kaibo.models.addresses import hub_parts
from kaibo.models.formats.shards import listed
from kaibo.models.places import AT_ONCE, hub
from kaibo.models.places.hub import Published
from kaibo.models.runs.checkpoints import Checkpoint, checkpoints_of
from kaibo.models.weights import weights_among

_BRACES = re.compile(r"\{([^{}]*,[^{}]*)\}")
MOST_RUNS = 1000


@dataclass(frozen=True)
class Revision:
    """One revision: its place in the series, its commit, and the published hash of each weight file, with its bytes."""

    checkpoint: Checkpoint
    commit: str
    hashes: Mapping[str, str]
    bytes: int

    @property
    def content(self) -> str:
        """16 hex digits of SHA-256 over names and hashes of the weight files: equal where all of them are equal."""
        said = "\n".join(f"{name}\0{known}" for name, known in sorted(self.hashes.items()))
        return hashlib.sha256(said.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def is_pattern(address: str) -> bool:
    """Whether an address names several revisions of the hub.

    >>> is_pattern("hf:org/name@step*"), is_pattern("hf:org/name@step1"), is_pattern("./step*")
    (True, False, False)
    """
    return address.startswith("hf:") and any(sign in address for sign in "*?{")


def spelled_out(address: str) -> list[str]:
    """An address without its braces.

    >>> spelled_out("hf:org/name-{70m,160m}@step*")
    ['hf:org/name-70m@step*', 'hf:org/name-160m@step*']
    """
    found, done = [address], False
    while not done:
        done, before, found = True, found, []
        for one in before:
            braces = _BRACES.search(one)
            done = done and braces is None
            parts = (
                [one]
                if braces is None
                else [one[: braces.start()] + part + one[braces.end() :] for part in braces[1].split(",")]
            )
            found += parts
        if len(found) > MOST_RUNS:
            raise UsageError(f"names more than {MOST_RUNS} addresses", file=address)
    return list(dict.fromkeys(found))


def named_by(addresses: Iterable[str]) -> dict[str, dict[str, str]]:
    """For each repository that patterns name the addresses of its revisions that match, with their commits.

    One request a repository. Raises UsageError for what is no pattern of revisions, MissingError where nothing
    matches, and what the hub refuses.
    """
    commits: dict[str, dict[str, str]] = {}
    named: dict[str, dict[str, str]] = {}
    for address in (one for several in addresses for one in spelled_out(several)):
        start, _, pattern = address.partition("@")
        repository, _, file = hub_parts(start)
        if file is not None or not pattern:
            raise UsageError("names no revisions", file=address, next="write hf:org/name@step*")
        if repository not in commits:
            commits[repository] = hub.revisions_of(repository)
        known = commits[repository]
        found = {f"{start}@{one}": commit for one, commit in known.items() if fnmatchcase(one, pattern)}
        if not found:
            raise MissingError("matches no revision", file=address, next=f"it has {listed(sorted(known))}")
        named.setdefault(repository, {}).update(found)
    return named


def published(named: Mapping[str, str], repository: str, steps: Sequence[int | None] | None = None) -> list[Revision]:
    """What the hub publishes of the revisions of one repository, in their order: a request for each commit.

    `steps` as in `checkpoints_of`, which says what is raised; and what the hub refuses.
    """
    checkpoints, commits = checkpoints_of(list(named), steps), list(dict.fromkeys(named.values()))
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="kaibo") as pool:
        asked = pool.map(lambda commit: hub.files_of(repository, commit), commits)
        files = dict(zip(commits, asked, strict=True))
    return [_revision(one, named[one.address], files[named[one.address]]) for one in checkpoints]


def _revision(checkpoint: Checkpoint, commit: str, files: Mapping[str, Published]) -> Revision:
    weights = {name: files[name] for name in weights_among(sorted(files))}
    hashes = {name: one.hash for name, one in weights.items()}
    return Revision(checkpoint, commit, hashes, sum(one.size for one in weights.values()))
