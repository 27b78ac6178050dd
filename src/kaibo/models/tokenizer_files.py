"""A stranger's `tokenizer.json`, judged before a library loads it: what would take memory, grow text or panic."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from kaibo.documents.json_text import json_value
from kaibo.documents.reading import read_bytes
from kaibo.errors import FormatError
from kaibo.models.addresses import Target
from kaibo.models.formats.gguf import metadata_of
from kaibo.models.formats.gguf_tokenizer import tokenizer_document
from kaibo.models.places import Place
from kaibo.models.places.folder import LocalFile

FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt")
"""Files of a folder that a tokenizer is made of."""

LIMIT = 200_000_000
"""Bytes of a tokenizer's file that are read at most."""

GROWTH = 256
"""How many times longer a normalizer may make a text."""


def carrier_of(target: Target) -> str | None:
    """The GGUF file that carries the tokenizer of an address; None where a folder's own files have it, or nothing has.

    Of a split series that is its first part.
    """
    named = [target.file] if target.file is not None else []
    if not named and not any(os.path.isfile(target.inside(name)) for name in FILES):
        named = sorted(os.listdir(target.root))
    found = [name for name in named if name is not None and name.lower().endswith(".gguf")]
    if not found:
        return None
    first = re.sub(r"-\d{5}-of-", "-00001-of-", found[0])
    return target.inside(first if os.path.isfile(target.inside(first)) else found[0])


def tokenizer_inside(target: Target) -> str | None:
    """The `tokenizer.json` of the tokenizer that a GGUF file carries; None where the address leads to no such file.

    Raises as `carried_tokenizer` does.
    """
    if target.far is None:
        carrier = carrier_of(target)
        return None if carrier is None else carried_tokenizer(carrier)
    if target.file is None or not target.file.lower().endswith(".gguf"):
        return None
    return _rebuilt(target.opened(target.file), target.file)


def carried_tokenizer(path: str) -> str:
    """The `tokenizer.json` of the tokenizer that a GGUF file carries, checked as any other.

    Raises MissingError where it carries none, or one that is not rebuilt here.
    """
    status = os.stat(path)
    return _carried(path, status.st_size, status.st_mtime_ns)


@lru_cache(2)
def _carried(path: str, size: int, changed: int) -> str:
    shown = os.path.basename(path)
    return _rebuilt(LocalFile(path, name=shown, real=path), shown)


def _rebuilt(place: Place, shown: str) -> str:
    document = tokenizer_document(metadata_of(place), shown)
    text = json.dumps(document, ensure_ascii=False)
    judged(document, len(text.encode("utf-8", "surrogateescape")), shown)
    return text


def check_tokenizer(path: str | os.PathLike[str], shown: str | None = None) -> None:
    """Raises FormatError for a tokenizer that no library should load, MissingError where its file cannot be read.

    A file is refused with an id beyond its own length (tables are as long as their largest id), with a model whose
    unknown token is not in its vocabulary, and with normalizers that may make a text more than `GROWTH` times longer.
    """
    file = shown or os.fspath(path)
    data = read_bytes(path, LIMIT)
    judged(json_value(data, file, []), len(data), file)


def judged(document: Any, size: int, file: str) -> None:
    """The same of a document that was `size` bytes long."""
    model = document.get("model") if isinstance(document, dict) else None
    if not isinstance(model, dict):
        raise FormatError("is not a tokenizer: it has no model", file=file)
    listed = document.get("added_tokens")
    added = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    vocabulary = model.get("vocab")
    ids = vocabulary.values() if isinstance(vocabulary, dict) else ()
    for number in (*ids, *(one.get("id") for one in added)):
        if not isinstance(number, int) or not 0 <= number <= size:
            raise FormatError(f"has the id {str(number)[:40]!r}, and a file of {size} bytes has none", file=file)
    _check_unknown(model, vocabulary, {str(one.get("content")) for one in added}, file)
    grown = 1.0
    for step in _steps(document.get("normalizer")):
        grown *= _growth(step)
        if grown > GROWTH:
            raise FormatError(f"has normalizers that may make a text more than {GROWTH} times longer", file=file)


def _check_unknown(model: Mapping[str, Any], vocabulary: Any, added: set[str], file: str) -> None:
    kind, unknown = model.get("type"), model.get("unk_token")
    needed = isinstance(vocabulary, dict) and (kind in ("WordLevel", "WordPiece") or unknown is not None)
    if needed and not (isinstance(unknown, str) and (unknown in vocabulary or unknown in added)):
        raise FormatError(f"its unknown token {str(unknown)[:40]!r} is not in its vocabulary", file=file)
    number = model.get("unk_id")
    inside = number is None or (
        isinstance(number, int) and isinstance(vocabulary, list) and 0 <= number < len(vocabulary)
    )
    if isinstance(vocabulary, list) and not inside:
        raise FormatError(f"its unknown token has the id {str(number)[:40]!r}, outside its vocabulary", file=file)


def _steps(normalizer: Any) -> Iterator[Mapping[str, Any]]:
    """The normalizers one after the other, those in sequences too."""
    waiting = [normalizer]
    while waiting:
        step = waiting.pop(0)
        if isinstance(step, dict):
            listed = step.get("normalizers")
            waiting = [*listed, *waiting] if isinstance(listed, list) else waiting
            yield step


def _growth(step: Mapping[str, Any]) -> float:
    """How many times longer one normalizer may make a text of one character."""
    if step.get("type") == "Replace":
        pattern, content = step.get("pattern"), step.get("content")
        text = pattern.get("String") if isinstance(pattern, dict) else None
        length = len(content.encode("utf-8", "replace")) if isinstance(content, str) else 0
        return max(1.0, length / len(text.encode("utf-8", "replace")) if text else 1.0 + length)
    if step.get("type") == "Prepend":
        return 1.0 + len(str(step.get("prepend")))
    return 1.0
