"""The store: what was measured, found again by what it was measured from."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from kaibo.store.censuses import MEASURE, fingerprint, from_table, to_table
from kaibo.store.columns import storable, table_of
from kaibo.store.compaction import Compaction, abandoned, compact
from kaibo.store.damage import Damage
from kaibo.store.merging import Merged, merge
from kaibo.store.packing import conflict
from kaibo.store.parts import Parts
from kaibo.store.resolved import from_rows, to_rows
from kaibo.store.schemas import (
    CENSUS,
    CENSUS_VERSION,
    FAILURES,
    JOINT,
    JOINT_VERSION,
    MODELS,
    RESOLVED,
    RUNS,
    SAMPLES,
    SCORES,
    SIGNS,
    SOURCES,
    SPECTRA,
    TOKEN_LOG,
    VECTORS,
    VERDICTS,
)
from kaibo.store.spectra import spectra_from, spectra_table
from kaibo.store.upkeep import Outdated, StoredModel, listing, outdated, remove, verify
from kaibo.version import __version__
from kaibo.vocabulary import Census, Crossed, Joint, Row, Signs, Spectrum, TokenLog, joined_logs
from kaibo.vocabulary.counts.resolved import Resolved

if TYPE_CHECKING:
    import pyarrow as pa

    from kaibo.store.questions import Answered, Limits

Sums = TypeVar("Sums", Joint, Crossed, Signs)


@dataclass(frozen=True)
class Counted:
    """One tensor whose census was made.

    `source_key` names the stored bytes it was read from (None where no key is known), `content` is its content
    hash (32 hex digits). `census` is None for a tensor that is not weights: only its content is kept.
    """

    source_key: str | None
    content: str
    census: Census | None


@dataclass(frozen=True)
class Paired:
    """Two tensors that were read side by side: the key of the pair, their contents, Δ's census, the joint sums."""

    content: str
    base: str
    tuned: str
    census: Census
    joint: Joint


@dataclass(frozen=True)
class CrossedPair:
    """Two task vectors of one base: the key, the three contents (a before b), the sums."""

    content: str
    base: str
    a: str
    b: str
    crossed: Crossed


@dataclass(frozen=True)
class SignsOfAll:
    """Several task vectors of one base: the key, the contents (those of the models sorted), the counts."""

    content: str
    base: str
    tuned: tuple[str, ...]
    signs: Signs


@dataclass(frozen=True)
class Failure:
    """Something that could not be measured: `model` is the address, `tensor` None for the whole of it."""

    model: str
    tensor: str | None
    kind: str
    message: str


class Store:
    """A folder of measurements; nothing is created before the first of them is recorded.

    Everything read was checked against its SHA-256 first. What fails is set aside and counts as unknown, and
    `warnings` says so. Any number of processes may read and record at once.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.parts = Parts(path)

    def __reduce__(self) -> tuple[type[Store], tuple[Path]]:
        """Another process opens the same folder."""
        return Store, (self.path,)

    @property
    def path(self) -> Path:
        """The folder."""
        return self.parts.path

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was found damaged since this store was opened, a sentence each."""
        return tuple(damage.sentence for damage in self.parts.damages)

    def contents(self, source_keys: Collection[str]) -> dict[str, str]:
        """The content hash for each source key that is known."""
        asked = {storable(key): key for key in source_keys}
        found = self.parts.read(SOURCES.name, asked.keys())
        pairs = zip(found["source_key"].to_pylist(), found["content"].to_pylist(), strict=True)
        return {asked[key]: content for key, content in pairs}

    def censuses(self, contents: Collection[str]) -> dict[str, Census]:
        """The census for each content hash that is known.

        Raises StorageError when the store holds two different censuses of one content.
        """
        return dict(self.stream(contents))

    def stream(self, contents: Collection[str]) -> Iterator[tuple[str, Census]]:
        """The same, one part at a time, for more censuses than one wants in memory."""
        seen: dict[str, tuple[str, str]] = {}
        for entry, table in self.parts.each(CENSUS.name, contents):
            for content, census in from_table(table):
                said = fingerprint(census)
                first, part = seen.setdefault(content, (said, entry.part))
                if first != said:
                    key = (content, MEASURE, CENSUS_VERSION, "")
                    raise conflict(CENSUS, key, {"digest": first}, {"digest": said}, (part, entry.part))
                if part == entry.part:
                    yield content, census

    def record(self, counted: Sequence[Counted]) -> None:
        """Adds censuses and where they were read from; durable when this returns.

        Raises StorageError when it cannot be written, or when the store holds something else for the same key.
        """
        self.parts.append(CENSUS.name, to_table((one.content, one.census) for one in counted if one.census is not None))
        rows = [{"source_key": one.source_key, "content": one.content} for one in counted if one.source_key is not None]
        self.parts.append(SOURCES.name, table_of(rows, SOURCES))

    def joints(self, contents: Collection[str]) -> dict[str, Joint]:
        """The joint sums for each key of a pair that is known."""
        return self._sums(JOINT.name, contents, Joint)

    def crossed(self, contents: Collection[str]) -> dict[str, Crossed]:
        """The sums of two task vectors for each key that is known."""
        return self._sums(VECTORS.name, contents, Crossed)

    def signs(self, contents: Collection[str]) -> dict[str, Signs]:
        """The signs of several task vectors for each key that is known."""
        return self._sums(SIGNS.name, contents, Signs)

    def _sums(self, table: str, contents: Collection[str], kind: type[Sums]) -> dict[str, Sums]:
        found = self.parts.read(table, contents).to_pylist() if contents else []
        return {
            row["content"]: kind(**{name: row[name] for name in kind.__dataclass_fields__})
            for row in found
            if row["version"] == JOINT_VERSION
        }

    def record_pairs(self, paired: Sequence[Paired]) -> None:
        """Adds the differences of pairs; durable when this returns. Raises as `record` does."""
        self.parts.append(CENSUS.name, to_table((one.content, one.census) for one in paired))
        rows = [
            {"content": one.content, "version": JOINT_VERSION, "base": one.base, "tuned": one.tuned, **vars(one.joint)}
            for one in paired
        ]
        self.parts.append(JOINT.name, table_of(rows, JOINT))

    def record_crossed(self, crossed: Sequence[CrossedPair]) -> None:
        """Adds the sums of task vectors; durable when this returns. Raises as `record` does."""
        rows = [
            {"content": one.content, "version": JOINT_VERSION, "base": one.base, "a": one.a, "b": one.b}
            | vars(one.crossed)
            for one in crossed
        ]
        self.parts.append(VECTORS.name, table_of(rows, VECTORS))

    def record_signs(self, signs: Sequence[SignsOfAll]) -> None:
        """Adds signs by position; durable when this returns. Raises as `record` does."""
        rows = [
            {"content": one.content, "version": JOINT_VERSION, "base": one.base, "tuned": " ".join(one.tuned)}
            | vars(one.signs)
            for one in signs
        ]
        self.parts.append(SIGNS.name, table_of(rows, SIGNS))

    def spectra(self, contents: Collection[str], settings: str) -> dict[tuple[str, int], Spectrum]:
        """The spectra that are known of these contents under these settings, by content and part."""
        return spectra_from(self.parts.read(SPECTRA.name, contents), settings)

    def record_spectra(self, found: Mapping[tuple[str, int], Spectrum], settings: str) -> None:
        """Adds spectra by content and part; durable when this returns."""
        self.parts.append(SPECTRA.name, spectra_table(found, settings))

    def resolved(self, contents: Collection[str]) -> dict[tuple[str, int], Resolved]:
        """The bins that were counted value by value, for each content, by upper half."""
        return from_rows(self.parts.read(RESOLVED.name, contents))

    def record_resolved(self, resolved: Mapping[tuple[str, int], Resolved]) -> None:
        """Adds bins that were counted value by value; durable when this returns."""
        self.parts.append(RESOLVED.name, to_rows(resolved))

    def record_model(self, name: str, family: str, rows: Sequence[Row]) -> None:
        """Adds a model's tensors, a row each; saying the same twice changes nothing."""
        self.parts.append(MODELS.name, table_of([_model_row(name, family, row) for row in rows], MODELS))

    def record_failures(self, failures: Sequence[Failure]) -> None:
        """Adds what could not be measured."""
        self.parts.append(FAILURES.name, table_of([vars(failure) for failure in failures], FAILURES))

    def record_scores(self, rows: Sequence[Any]) -> None:
        """Adds scores, one tidy row each (any record with the columns of `scores` as its fields)."""
        self.parts.append(SCORES.name, table_of([vars(row) for row in rows], SCORES))

    def record_runs(self, rows: Sequence[Any]) -> None:
        """Adds finished runs, a row each (any record with the columns of `runs` as its fields)."""
        made = [{name: getattr(row, name, __version__) for name in RUNS.columns} for row in rows]
        self.parts.append(RUNS.name, table_of(made, RUNS))

    def verdicts(self, problems: Collection[str], version: int, settings: str) -> dict[tuple[str, str], dict[str, Any]]:
        """What became of samples before, by (problem, code), under these settings of this sandbox."""
        found = self.parts.read(VERDICTS.name, problems).to_pylist()
        return {
            (row["problem"], row["code"]): row
            for row in found
            if row["version"] == version and row["settings"] == settings
        }

    def record_verdicts(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Adds what became of samples, a row each."""
        if rows:
            self.parts.append(VERDICTS.name, table_of([{**row, "kaibo": __version__} for row in rows], VERDICTS))

    def samples(self, generations: Collection[str]) -> dict[tuple[str, int], str]:
        """The texts that were written before, by (generation, number)."""
        found = self.parts.read(SAMPLES.name, generations).to_pylist()
        return {(row["generation"], row["number"]): row["text"] for row in found}

    def record_samples(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Adds texts that a model wrote, a row each."""
        if rows:
            self.parts.append(SAMPLES.name, table_of([{**row, "kaibo": __version__} for row in rows], SAMPLES))

    def runs(self) -> list[dict[str, Any]]:
        """The runs that were recorded, in the order of their names."""
        found = self.parts.read(RUNS.name).to_pylist()
        return sorted(found, key=lambda row: (row["run"], row["out"]))

    def token_logs(self, keys: Collection[str]) -> dict[str, TokenLog]:
        """What is kept of each log (by the hash of its key); a log that was interrupted comes as far as it got."""
        from kaibo.store import token_logs

        parts: dict[str, list[TokenLog]] = {}
        for log in token_logs.from_table(self.parts.read(TOKEN_LOG.name, keys)):
            parts.setdefault(log.key.hash, []).append(log)
        return {key: joined_logs(several) for key, several in parts.items()}

    def record_token_logs(self, logs: Sequence[TokenLog]) -> None:
        """Adds scored tokens that the store has not, durable when this returns; the caller knows which it has."""
        from kaibo.store import token_logs

        if logs:
            keys = [log.key.hash for log in logs]
            self.parts.write(TOKEN_LOG, token_logs.to_table(logs), keys)

    def sql(self, query: str) -> pa.Table:
        """The answer to a question over the tables of `schemas`: `sources`, `census`, `joint`, `models` and others.

        The view `tensors` joins the models with what was counted of each tensor.

        Raises UsageError with the first line of what DuckDB says when the query fails.
        """
        return self.ask(query, None).table

    def ask(self, query: str, limits: Limits | None) -> Answered:
        """The same within limits of time and size: an answer that is too large is cut, and says so."""
        from kaibo.store.questions import ask

        return ask(self.parts, query, limits)

    def listing(self) -> list[StoredModel]:
        """The models that the store holds."""
        return listing(self.parts)

    def verify(self) -> list[Damage]:
        """Checks every part and ledger entry; damaged ones are set aside, and what they held is measured again."""
        return verify(self.parts)

    def outdated(self) -> list[Outdated]:
        """Rows that an older kaibo measured in another way, which answer nothing any more."""
        return outdated(self.parts)

    def abandoned(self) -> list[Path]:
        """Files that nothing in the ledger speaks of and no living process is writing; `compact` clears them away."""
        return abandoned(self.parts)

    def compact(self) -> Compaction:
        """Merges small parts and clears away what killed writers left.

        Raises StorageError, naming PID and host, while another compaction is under way.
        """
        return compact(self.parts)

    def merge(self, stores: Sequence[Store]) -> tuple[Merged, list[Damage]]:
        """Adds all that other stores hold: the same bytes whatever their order, and however rows were split over them.

        What was done, and which parts were damaged and left out. Raises as `kaibo.store.merging.merge` does.
        """
        return merge([one.parts for one in stores], self.parts)

    def remove(self, model: str) -> int:
        """Forgets a model (its name, address or identity) and what only it uses; the bytes freed."""
        return remove(self.parts, model)


def _model_row(name: str, family: str, row: Row) -> dict[str, Any]:
    return {
        "model": row.model,
        "model_id": row.model_id,
        "name": name,
        "family": family,
        "tensor": row.tensor,
        "layer": row.layer,
        "role": row.role,
        "dtype": row.dtype,
        "shape": list(row.shape),
        "n": row.n,
        "content": row.content,
        "kaibo": __version__,
    }
