"""Runs audited by what the hub publishes of their revisions: kilobytes, and no weights."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from kaibo.chapters.series.audit import audit_beside, audit_published
from kaibo.chapters.series.rows import SERIES_AUDIT, SERIES_REVISIONS, AuditRow, RevisionRow
from kaibo.errors import UsageError
from kaibo.models.runs.published import Revision, named_by, published
from kaibo.version import __version__
from kaibo.vocabulary import Finding
from kaibo.vocabulary.series import CheckpointFacts, Unreadable
from kaibo.words import note


def from_hashes(
    addresses: Sequence[str], steps: Sequence[int | None] | None
) -> tuple[Finding[RevisionRow], Finding[AuditRow]]:
    """The revisions that patterns name, and what the audit finds: one request a revision and one a repository."""
    named = named_by(addresses)
    if steps is not None and len(named) > 1:
        raise UsageError("--steps is for one run", next="name one repository")
    runs = {run: published(found, run, steps) for run, found in named.items()}
    facts = {
        run: [_facts(one, _name(one, run, len(runs))) for one in found if one.hashes] for run, found in runs.items()
    }
    audit: list[AuditRow] = []
    for run, found in runs.items():
        empty = [
            Unreadable(_name(one, run, len(runs)), one.checkpoint.step, note("series_no_files"))
            for one in found
            if not one.hashes
        ]
        audit += audit_published(facts[run], empty)
    audit += audit_beside(facts)
    models = {one.address: one.model_id for found in facts.values() for one in found}
    provenance = {"models": models, "kaibo": __version__}
    rows = tuple(_rows(runs))
    return (
        Finding(SERIES_REVISIONS, rows, (note("series_published"),), provenance),
        Finding(SERIES_AUDIT, tuple(audit), (), provenance),
    )


def one_run(addresses: Sequence[str]) -> list[str]:
    """The addresses of the revisions that patterns of one repository name. Raises UsageError for those of several."""
    named = named_by(addresses)
    if len(named) > 1:
        raise UsageError("the weights of one run are followed at a time", next="name one repository")
    return [address for found in named.values() for address in found]


def _name(one: Revision, run: str, runs: int) -> str:
    """A revision's name; with its repository where there are several."""
    return one.checkpoint.name if runs == 1 else f"{run.rpartition('/')[2]}@{one.checkpoint.name}"


def _facts(one: Revision, name: str) -> CheckpointFacts:
    found = one.checkpoint
    return CheckpointFacts(found.address, name, found.step, one.content, 0, math.nan, math.nan, 0, {})


def _rows(runs: dict[str, list[Revision]]) -> Iterator[RevisionRow]:
    first: dict[str, str] = {}
    for run, found in runs.items():
        for one in found:
            name = _name(one, run, len(runs))
            same = first.setdefault(one.content, name) if one.hashes else name
            yield RevisionRow(
                one.checkpoint.address,
                name,
                one.checkpoint.step,
                one.commit,
                len(one.hashes),
                one.bytes,
                one.content,
                None if same == name else same,
            )
