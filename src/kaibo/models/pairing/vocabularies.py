"""A tokenizer's vocabulary, read as data: which row of the embedding each token has. No tokenizer is run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from kaibo.documents.json_text import json_value
from kaibo.errors import KaiboError
from kaibo.models.addresses import Target
from kaibo.models.opening import target_of
from kaibo.models.places import Place
from kaibo.models.tokenizer_files import tokenizer_inside

LIMIT = 1 << 27
"""Bytes of a tokenizer's file that are read at most."""

STEPS = ("normalizer", "pre_tokenizer", "post_processor", "decoder")
"""What of `tokenizer.json` says how text becomes tokens, beside vocabulary and merges."""

Merge = tuple[str, ...]


@dataclass(frozen=True)
class Tokenizer:
    """What the files of a tokenizer say: token → row, the merges in their order, and the steps around them.

    `repeated` counts tokens that are listed more than once; the last row counts, as in the `tokenizers` library.
    """

    vocabulary: Mapping[str, int]
    merges: tuple[Merge, ...] = ()
    steps: Mapping[str, Any] = field(default_factory=dict)
    repeated: int = 0


def vocabulary_of(address: str) -> dict[str, int] | None:
    """Token → row, from `tokenizer.json`, else `vocab.json`, else `vocab.txt`, with the added tokens.

    None where there is no such file or none that can be understood.
    """
    found = tokenizer_of(address)
    return None if found is None else dict(found.vocabulary)


def tokenizer_of(address: str) -> Tokenizer | None:
    """What the tokenizer's files say, or the GGUF file itself; None where there is none that can be understood."""
    try:
        target = target_of(address)
        if (carried := tokenizer_inside(target)) is not None:
            return _tokenizer(carried.encode("utf-8", "surrogateescape"), b"", b"")
    except KaiboError:
        return None
    for name, read in _FILES:
        file = _file(target, name)
        found = (
            None if file is None else _read(file, read, _file(target, "added_tokens.json"), _file(target, "merges.txt"))
        )
        if found is not None and found.vocabulary:
            return found
    return None


def _file(target: Target, name: str) -> Place | None:
    try:
        if not target.has(name):
            return None
        file = target.opened(name)
    except KaiboError:
        return None
    return file if file.size <= LIMIT else None


Reading = Callable[[bytes, bytes, bytes], Tokenizer]


def _read(file: Place, read: Reading, added: Place | None, merges: Place | None) -> Tokenizer | None:
    """One file and those beside it that it leans on, parsed once as long as none of them changes."""
    return _parsed(read, *(None if one is None else _Bytes(one) for one in (file, added, merges)))


@dataclass(frozen=True)
class _Bytes:
    """A file's content, equal while the file is the same; read where it is asked for."""

    file: Place = field(compare=False)
    key: object = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", self.file.key or id(self.file))

    def read(self) -> bytes:
        return self.file.read(0, self.file.size)


@lru_cache(maxsize=8)
def _parsed(read: Reading, *files: _Bytes | None) -> Tokenizer | None:
    try:
        return read(*(b"" if one is None else one.read() for one in files))
    except (KaiboError, ValueError, RecursionError, AttributeError, TypeError, LookupError):
        return None


def _tokenizer(raw: bytes, _added: bytes, _merges: bytes) -> Tokenizer:
    document = _json(raw)
    listed = document["model"]["vocab"]
    entries = list(_entries(listed))
    extra = [(entry["content"], entry["id"]) for entry in document.get("added_tokens") or ()]
    vocabulary = _rows([*entries, *extra])
    steps = {name: document[name] for name in STEPS if document.get(name) is not None}
    merges = tuple(_merge(one) for one in document["model"].get("merges") or ())
    return Tokenizer(vocabulary, merges, steps, len(entries) - len({token for token, _ in entries}))


def _entries(listed: Any) -> Iterator[tuple[Any, Any]]:
    """A vocabulary as (token, row): an object, or of a unigram model a list of [token, score]."""
    if isinstance(listed, list):
        yield from ((entry[0], row) for row, entry in enumerate(listed))
    else:
        yield from listed.items()


def _merge(merge: Any) -> Merge:
    """A merge as its parts, whether it is written `"a b"` or `["a", "b"]`."""
    return tuple(merge.split(" ")) if isinstance(merge, str) else tuple(map(str, merge))


def _plain(raw: bytes, added: bytes, merges: bytes) -> Tokenizer:
    more = _json(added) if added else {}
    pairs = tuple(_merge(line) for line in _lines_of(merges) if line and not line.startswith("#version"))
    return Tokenizer(_rows([*_json(raw).items(), *more.items()]), pairs)


def _lines(raw: bytes, added: bytes, _merges: bytes) -> Tokenizer:
    more = _json(added) if added else {}
    lines = _lines_of(raw)
    return Tokenizer(
        _rows([*((line, row) for row, line in enumerate(lines)), *more.items()]), (), {}, len(lines) - len({*lines})
    )


def _json(raw: bytes) -> Any:
    return json_value(raw, "tokenizer", [])


def _lines_of(raw: bytes) -> list[str]:
    r"""The lines of a vocabulary: only `\n` ends one, for U+2028 and its like are tokens."""
    lines = raw.decode("utf-8").split("\n")
    return [line.removesuffix("\r") for line in (lines if lines[-1] else lines[:-1])]


def _rows(entries: Iterable[tuple[Any, Any]]) -> dict[str, int]:
    """Only what is a token with a row; a stranger's file may hold anything."""
    return {token: row for token, row in entries if isinstance(token, str) and type(row) is int and row >= 0}


_FILES: tuple[tuple[str, Reading], ...] = (
    ("tokenizer.json", _tokenizer),
    ("vocab.json", _plain),
    ("vocab.txt", _lines),
)
