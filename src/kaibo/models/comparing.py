"""What differs between two models beside their weights: config, vocabulary, chat template, special tokens."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kaibo.models.pairing import Vocabulary
from kaibo.vocabulary import Model

IGNORED = frozenset({"_name_or_path", "transformers_version", "name_or_path"})
"""Keys of a config that say where a file came from, not what the model is."""

SETTINGS = ("tokenizer_config.json", "special_tokens_map.json", "generation_config.json")


@dataclass(frozen=True)
class Change:
    """One thing that differs: `what` names file and key, `before` and `after` are its values, None where absent."""

    what: str
    before: Any
    after: Any


def changes(
    base: Model, tuned: Model, vocabularies: tuple[Vocabulary | None, Vocabulary | None] = (None, None)
) -> list[Change]:
    """All that differs, config first, then vocabulary, chat template and the other small files."""
    found = list(_keys("config", base.config, tuned.config))
    found += _vocabulary(*vocabularies)
    before, after = base.documents.get("chat_template"), tuned.documents.get("chat_template")
    found += [Change("chat template", before, after)] if before != after else []
    for name in SETTINGS:
        found += _keys(name, _mapping(base.documents.get(name)), _mapping(tuned.documents.get(name)))
    return found


def _mapping(document: Any) -> Mapping[str, Any]:
    return document if isinstance(document, Mapping) else {}


def _keys(place: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    """The keys of two objects whose values differ; nested objects key by key."""
    for key in sorted((set(before) | set(after)) - IGNORED - {"chat_template"}):
        one, other = before.get(key), after.get(key)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            yield from _keys(f"{place}: {key}", one, other)
        elif one != other:
            yield Change(f"{place}: {key}", one, other)


def _vocabulary(before: Vocabulary | None, after: Vocabulary | None) -> list[Change]:
    """How many tokens were added, removed and re-numbered."""
    if before is None or after is None:
        return [] if before is after else [Change("vocabulary", _size(before), _size(after))]
    moved = sum(after[token] != row for token, row in before.items() if token in after)
    added, removed = len(after.keys() - before.keys()), len(before.keys() - after.keys())
    found = [Change("vocabulary: tokens", len(before), len(after))] if added or removed else []
    counts = (("added", added), ("removed", removed), ("re-numbered", moved))
    return found + [Change(f"vocabulary: {name}", None, count) for name, count in counts if count]


def _size(vocabulary: Vocabulary | None) -> int | None:
    return None if vocabulary is None else len(vocabulary)
