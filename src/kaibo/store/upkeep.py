"""What a store keeps of each model, whether it is sound, and how to free it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kaibo.errors import MissingError
from kaibo.store.compaction import rewrite, size, tidy
from kaibo.store.damage import Damage
from kaibo.store.ledger import Entry, Hashes, hashed
from kaibo.store.locks import alone
from kaibo.store.packing import unpacked
from kaibo.store.parts import Parts
from kaibo.store.schema import Schema
from kaibo.store.schemas import (
    CENSUS,
    FAILURES,
    JOINT,
    MODELS,
    RESOLVED,
    SCHEMAS,
    SIGNS,
    SOURCES,
    SPECTRA,
    TOKEN_LOG,
    VECTORS,
    VERSIONS,
)

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class StoredModel:
    """One model in a store: tensors and values it has, and its share of the parts that hold its censuses.

    `bytes` counts what is shared with another model for both; `parts` is in how many parts its censuses lie.
    """

    name: str
    address: str
    model_id: str
    family: str
    tensors: int
    values: int
    bytes: int
    parts: int


def listing(parts: Parts) -> list[StoredModel]:
    """The models of a store, by name and address; no census is read for it."""
    columns = ["name", "model", "model_id", "family", "n", "content"]
    models: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in parts.read(MODELS.name, columns=columns).to_pylist():
        models.setdefault((row["model"], row["model_id"]), []).append(row)
    census = parts.entries(CENSUS.name)
    found = [_stored(rows, census) for rows in models.values()]
    return sorted(found, key=lambda model: (model.name, model.address, model.model_id))


def _stored(rows: list[dict[str, Any]], census: list[Entry]) -> StoredModel:
    wanted = hashed(row["content"] for row in rows)
    shares = [(entry, _common(entry.keys, wanted) / max(entry.keys.size, 1)) for entry in census]
    return StoredModel(
        name=rows[0]["name"],
        address=rows[0]["model"],
        model_id=rows[0]["model_id"],
        family=rows[0]["family"],
        tensors=len(rows),
        values=sum(row["n"] for row in rows),
        bytes=round(sum(entry.size * share for entry, share in shares)),
        parts=sum(share > 0 for _, share in shares),
    )


def _common(keys: Hashes, wanted: Hashes) -> int:
    return int(np.intersect1d(keys, wanted, assume_unique=True).size)


def verify(parts: Parts) -> list[Damage]:
    """Checks every entry and every part, sets aside what is damaged, and says what that was."""
    before = parts.start_over()
    for entry in parts.entries():
        try:
            data = parts.verified(entry)
        except FileNotFoundError:  # compacted meanwhile
            continue
        schema = SCHEMAS.get(entry.table)
        if data is not None and schema is not None and entry.schema <= schema.version:
            _check_rows(parts, entry, schema, data)
    found = list(parts.damages)
    parts.damages[:] = [*before, *(damage for damage in found if damage not in before)]
    return found


@dataclass(frozen=True)
class Outdated:
    """Rows of a table that an older kaibo measured in another way: they are kept, and never used again."""

    table: str
    rows: int
    version: int

    @property
    def sentence(self) -> str:
        """The same in words."""
        why = "; scores were then kept by tensors alone, whatever the config said" if self.table == "token_log" else ""
        return f"{self.rows:,} rows of {self.table} are of version {self.version} and are not used{why}"


def outdated(parts: Parts) -> list[Outdated]:
    """What no question is answered from any more, by table and version; what it held is measured again when asked."""
    found = []
    for table, current in VERSIONS.items():
        versions = Counter(parts.read(table, columns=["version"])["version"].to_pylist())
        found += [Outdated(table, rows, version) for version, rows in sorted(versions.items()) if version != current]
    return found


def _check_rows(parts: Parts, entry: Entry, schema: Schema, data: bytes) -> None:
    try:
        table = unpacked(data, schema)
        keys = hashed(table[schema.key].unique().to_pylist())
    except (ValueError, KeyError, TypeError, OSError) as error:
        parts.set_aside(entry, f"it does not hold the table {entry.table}: {error}")
        return
    if table.num_rows != entry.rows:
        parts.set_aside(entry, f"it has {table.num_rows} rows, the ledger says {entry.rows}")
    elif not np.array_equal(keys, entry.keys):
        parts.set_aside(entry, "its rows have other keys than the ledger says")


def remove(parts: Parts, model: str) -> int:
    """Forgets a model, named by its name, address or identity, and what only it uses; the bytes freed.

    Raises MissingError when the store holds no such model, StorageError while it is being compacted.
    """
    if not parts.ledger.is_dir():
        raise MissingError("the store holds no model", file=parts.path)
    with alone(parts.path / "locks"):
        before = size(parts.entries())
        rows = parts.read(MODELS.name, columns=["name", "model", "model_id", "content"]).to_pylist()
        leaving = [row for row in rows if model in (row["name"], row["model"], row["model_id"])]
        if not leaving:
            raise _unknown(model, rows, parts)
        staying = {row["content"] for row in rows if row not in leaving}
        contents = {row["content"] for row in leaving} - staying
        addresses = {row["model"] for row in leaving}
        contents |= _derived(parts, contents)
        _forget_together(parts, contents)
        # The model's own rows go last: while they are there, an interrupted removal can be taken up again.
        _forget(parts, CENSUS, "content", contents)
        _forget(parts, SPECTRA, "content", contents)
        _forget(parts, SOURCES, "content", contents)
        _forget(parts, FAILURES, "model", addresses)
        _forget(
            parts,
            TOKEN_LOG,
            "model_id",
            {row["model_id"] for row in leaving} - {row["model_id"] for row in rows if row not in leaving},
        )
        gone = {(row["model"], row["model_id"]) for row in leaving}
        _rewrite(parts, MODELS, lambda table: [pair not in gone for pair in _pairs(table)])
        tidy(parts)
        return before - size(parts.entries())


def _derived(parts: Parts, contents: Collection[str]) -> set[str]:
    """The contents of tensors that were formed from those leaving (rows of a table, differences).

    Their source keys hold the source keys of what they were formed from.
    """
    rows = parts.read(SOURCES.name).to_pylist()
    leaving = [row["source_key"] for row in rows if row["content"] in contents]
    formed: dict[str, list[bool]] = {}
    for row in rows:
        gone = any(key != row["source_key"] and key in row["source_key"] for key in leaving)
        formed.setdefault(row["content"], []).append(gone or row["source_key"] in leaving)
    return {content for content, gone in formed.items() if all(gone)}


def _forget_together(parts: Parts, contents: Collection[str]) -> None:
    """What was measured of a tensor that leaves together with others: joint sums, censuses of differences, signs."""
    named = ((JOINT, ("base", "tuned")), (VECTORS, ("base", "a", "b")), (SIGNS, ("base", "tuned")))
    for schema, columns in named:
        rows = parts.read(schema.name, columns=["content", *columns]).to_pylist()
        keys = {
            row["content"]
            for row in rows
            if any(content in contents for column in columns for content in row[column].split())
        }
        if schema is JOINT:
            _forget(parts, CENSUS, "content", keys)
            _forget(parts, RESOLVED, "content", keys)
            _forget(parts, SPECTRA, "content", keys)
        _forget(parts, schema, "content", keys)


def _pairs(table: pa.Table) -> list[tuple[str, str]]:
    return list(zip(table["model"].to_pylist(), table["model_id"].to_pylist(), strict=True))


def _unknown(model: str, rows: list[dict[str, Any]], parts: Parts) -> MissingError:
    names = sorted({row["name"] for row in rows})
    return MissingError(
        f"the store holds no model {model}", file=parts.path, next=f"it holds {', '.join(names[:8]) or 'none'}"
    )


def _forget(parts: Parts, schema: Schema, column: str, values: Collection[str]) -> None:
    _rewrite(parts, schema, lambda table: [value not in values for value in table[column].to_pylist()])


def _rewrite(parts: Parts, schema: Schema, keep: Callable[[pa.Table], list[bool]]) -> None:
    """Rewrites the parts of a table that lose a row; the others are only looked at."""
    columns = list(dict.fromkeys([*schema.identity, *schema.scalars]))
    losing = [entry for entry, table in parts.each(schema.name, None, columns) if not all(keep(table))]
    for entry in losing:
        rewrite(parts, schema, entry, keep)
