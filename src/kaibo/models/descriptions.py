"""The small files beside the weights that say what a model is: data, never code, and never a reason to fail.

`auto_map` and `trust_remote_code` name code to run; nothing here looks at them. Chat templates are kept as text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kaibo.documents.json_text import json_value
from kaibo.errors import FormatError, MissingError, PolicyError
from kaibo.models.addresses import Target
from kaibo.models.params_json import PARAMS, as_config
from kaibo.words import Note, note, written

CONFIG_LIMIT = 1 << 24
DOCUMENT_LIMIT = 1 << 24
"""Bytes of a config or a document that are read at most."""

JSON_DOCUMENTS = ("tokenizer_config.json", "generation_config.json", "special_tokens_map.json")
TEMPLATE = "chat_template.jinja"
NOTICE, NOTICE_LIMIT = "kaibo-notice.txt", 1000
"""What the maker of a model wants every reader to know, and bytes of it that are shown at most."""


@dataclass
class Described:
    """What the small files said, and notes about what could not be read."""

    config: Mapping[str, Any] = field(default_factory=dict)
    documents: dict[str, Any] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)


def describe(target: Target, config: str = "config.json", *, texts: bool = True) -> Described:
    """Config and documents of a folder, without `texts` the config alone. Faults of their content become notes.

    Raises PolicyError when `config.json` is a link out of the folder; other documents are then left out.
    """
    found = Described()
    found.config = _object(target, config, CONFIG_LIMIT, found.notes) or {}
    if not found.config or config == PARAMS:  # as Meta and Mistral write it
        found.config = as_config(found.config or _object(target, PARAMS, CONFIG_LIMIT, found.notes) or {})
    if not texts:
        return found
    for name in JSON_DOCUMENTS:
        document = _document(target, name, found.notes)
        if document:
            found.documents[name] = document
    template = _template(target, found.documents, found.notes)
    if template:
        found.documents["chat_template"] = template
    notice = _notice(target)
    if notice:
        found.notes.append(written(notice, "nursery_texts"))
    return found


def _notice(target: Target) -> str | None:
    """The notice in one line; a link out of the folder and what cannot be read are as if they were not there."""
    try:
        raw = _bytes(target, NOTICE, NOTICE_LIMIT, [])
    except PolicyError:
        return None
    return " ".join(raw.decode("utf-8", "backslashreplace").split()) if raw else None


def read_object(target: Target, name: str) -> Mapping[str, Any]:
    """A JSON object of the folder, `{}` where it is absent or no object."""
    return _object(target, name, CONFIG_LIMIT, []) or {}


def _document(target: Target, name: str, notes: list[Note]) -> Mapping[str, Any] | None:
    try:
        return _object(target, name, DOCUMENT_LIMIT, notes)
    except PolicyError:
        notes.append(note("link_out", name=name))
        return None


def _template(target: Target, documents: Mapping[str, Any], notes: list[Note]) -> str | None:
    try:
        raw = _bytes(target, TEMPLATE, DOCUMENT_LIMIT, notes)
    except PolicyError:
        notes.append(note("link_out", name=TEMPLATE))
        raw = None
    if raw is not None:
        return raw.decode("utf-8", "backslashreplace")
    inline = documents.get("tokenizer_config.json", {}).get("chat_template")
    if isinstance(inline, list):  # several named templates; the one called "default" is used without a name
        named = {item.get("name"): item.get("template") for item in inline if isinstance(item, dict)}
        inline = named.get("default")
    return inline if isinstance(inline, str) else None


def _object(target: Target, name: str, limit: int, notes: list[Note]) -> Mapping[str, Any] | None:
    raw = _bytes(target, name, limit, notes)
    if raw is None:
        return None
    try:
        return parsed(raw, name, notes)
    except FormatError as problem:
        notes.append(note("document_unused", name=name, what=problem.message))
        return None


def _bytes(target: Target, name: str, limit: int, notes: list[Note]) -> bytes | None:
    if not target.has(name):
        return None
    try:
        file = target.opened(name)
        if file.size > limit:
            notes.append(note("document_long", name=name, size=file.size, limit=limit))
            return None
        return file.read(0, file.size)
    except (MissingError, FormatError) as problem:
        notes.append(note("document_unused", name=name, what=problem.message))
        return None


def parsed(raw: bytes, name: str, notes: list[Note]) -> Mapping[str, Any]:
    """A JSON object from a stranger, kept harmless: NaN and infinities become None, with a note.

    Raises FormatError for what is no JSON object, however deeply it is nested.

    >>> parsed(b'{"a": NaN, "b": 1}', "config.json", [])
    {'a': None, 'b': 1}
    """
    odd: list[str] = []
    value = json_value(raw, name, odd)
    if not isinstance(value, dict):
        raise FormatError("is not a JSON object", file=name)
    notes.extend(note("document_says", name=name, what=what) for what in odd)
    return value
