"""The ledger: one small file per part, written after it, that says what the part holds and what its bytes hash to.

A part without an entry was never acknowledged and is never read. An entry carries its own checksum, so that a
torn one is noticed. Entries are ordered by sequence number and name, never by time.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaibo.errors import StorageError
from kaibo.store.writers import TOKEN

FORMAT = 1
"""Version of the ledger itself."""

_PART = re.compile(rf"[a-z][a-z0-9_]*-[0-9a-f]{{16}}-({TOKEN.pattern})\.parquet")
_SHA = re.compile(r"[0-9a-f]{64}")

Hashes = NDArray[np.uint64]


@dataclass(frozen=True, eq=False)
class Entry:
    """What the ledger says about one part.

    `part` is its file's name, `keys` the sorted 64-bit hashes of every key in it (two keys with one hash cost a
    look inside, nothing more), `replaces` the tokens of parts whose rows this one took over.
    """

    sequence: int
    table: str
    schema: int
    kaibo: str
    part: str
    size: int
    sha256: str
    rows: int
    keys: Hashes
    replaces: tuple[str, ...] = ()

    @property
    def token(self) -> str:
        """The writer's token, which the part and its entry share."""
        return self.part.removesuffix(".parquet").split("-", 2)[2]

    @property
    def name(self) -> str:
        """The entry's file name; names sort as entries do."""
        return f"{self.sequence:012d}-{self.token}.json"

    def holds(self, wanted: Hashes) -> bool:
        """Whether any of the sorted hashes may be in the part."""
        if self.keys.size == 0 or wanted.size == 0:
            return False
        fewer, more = (self.keys, wanted) if self.keys.size < wanted.size else (wanted, self.keys)
        place = np.minimum(np.searchsorted(more, fewer), more.size - 1)
        return bool((more[place] == fewer).any())


def hashed(keys: Iterable[str]) -> Hashes:
    """The sorted, distinct 64-bit hashes of keys.

    >>> hashed(["a", "b", "a"]).size
    2
    """
    digests = b"".join(hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest() for key in keys)
    return np.unique(np.frombuffer(digests, dtype=">u8").astype(np.uint64))


def disjoint(entries: list[Entry]) -> bool:
    """Whether no key can be in two of the parts."""
    if len(entries) < 2:
        return True
    keys = np.concatenate([entry.keys for entry in entries])
    return bool(np.unique(keys).size == keys.size)


def encode(entry: Entry) -> bytes:
    """The entry as the bytes of its file."""
    fields = {
        "format": FORMAT,
        "sequence": entry.sequence,
        "table": entry.table,
        "schema": entry.schema,
        "kaibo": entry.kaibo,
        "part": entry.part,
        "size": entry.size,
        "sha256": entry.sha256,
        "rows": entry.rows,
        "keys": entry.keys.astype(">u8").tobytes().hex(),
        "replaces": list(entry.replaces),
    }
    return _canonical({**fields, "checksum": _checksum(fields)})


def decode(name: str, data: bytes) -> Entry:
    """The entry in the bytes of a file of that name.

    Raises ValueError when they are torn, changed or not an entry, StorageError when a newer kaibo wrote them.
    """
    fields = json.loads(data.decode("ascii"))
    if not isinstance(fields, dict) or _canonical(fields) != data or fields.pop("checksum", None) != _checksum(fields):
        raise ValueError("its checksum does not fit")
    if _whole(fields, "format") > FORMAT:
        raise StorageError(
            f"the store was written by kaibo {fields.get('kaibo')} in format {fields['format']}; "
            f"this one reads up to format {FORMAT}",
            file=name,
            next="update kaibo, or name another store with --store",
        )
    entry = _entry(fields)
    if entry.name != name:
        raise ValueError("it is another entry's")
    return entry


def _entry(fields: dict[str, Any]) -> Entry:
    """The entry of fields of a stranger's making: each is of its own type, or ValueError says which is not."""
    texts = {name: _text(fields, name) for name in ("table", "kaibo", "part", "sha256", "keys")}
    numbers = {name: _whole(fields, name) for name in ("sequence", "schema", "size", "rows")}
    if not (_PART.fullmatch(texts["part"]) and _SHA.fullmatch(texts["sha256"])):
        raise ValueError("it names no part")
    if texts["part"].partition("-")[0] != texts["table"]:
        raise ValueError("its part is of another table")
    replaces = fields.get("replaces")
    if not isinstance(replaces, list) or not all(isinstance(token, str) for token in replaces):
        raise ValueError("replaces is no list of texts")
    keys = np.frombuffer(bytes.fromhex(texts.pop("keys")), dtype=">u8").astype(np.uint64)
    if (keys[1:] <= keys[:-1]).any():
        raise ValueError("its keys are not sorted")
    return Entry(**texts, **numbers, keys=keys, replaces=tuple(replaces))  # type: ignore[arg-type]


def _text(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str):
        raise ValueError(f"{name} is no text")
    return value


def _whole(fields: dict[str, Any], name: str) -> int:
    value = fields.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
        raise ValueError(f"{name} is no whole number")
    return value


def _canonical(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields, sort_keys=True, separators=(",", ":")).encode("ascii")


def _checksum(fields: dict[str, Any]) -> str:
    return hashlib.sha256(_canonical(fields)).hexdigest()
