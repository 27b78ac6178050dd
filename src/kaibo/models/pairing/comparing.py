"""What differs between two models beside their weights: config, vocabulary, chat template, special tokens.

Two forms of one meaning are no difference (`meanings`). What is long is shown short, and kept whole beside it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from kaibo.errors import escaped
from kaibo.models.pairing.aligning import Vocabularies, Vocabulary
from kaibo.models.pairing.meanings import configs, generation_settings, special, tokenizer_settings
from kaibo.models.pairing.vocabularies import Merge, tokenizer_of
from kaibo.vocabulary import Model
from kaibo.words import about, note

LONGEST = 120
"""Characters of a value that are shown; longer ones are cut, and kept whole in `full`."""

EXAMPLES = 5


@dataclass(frozen=True)
class Change:
    """One thing that differs: `what` names file and key, `before` and `after` are its values, None where absent.

    `full` holds both values whole where `before` and `after` show only the place where they differ.
    """

    what: str
    before: Any
    after: Any
    full: tuple[Any, Any] | None = None


def changes(base: Model, tuned: Model, vocabularies: Vocabularies = (None, None)) -> list[Change]:
    """All that differs, config first, then vocabulary and tokenizer, chat template, special tokens, generation."""
    before, after = base.documents, tuned.documents
    found = list(_keys("config", *configs(base, tuned)))
    found += _vocabulary(*vocabularies)
    found += _tokenizer(base.address, tuned.address)
    found += _template(before.get("chat_template"), after.get("chat_template"))
    found += _keys(note("change_special"), special(before), special(after))
    found += _keys("tokenizer_config.json", tokenizer_settings(before), tokenizer_settings(after))
    found += _keys("generation_config.json", generation_settings(before), generation_settings(after))
    return found


def _keys(place: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    """The keys of two objects whose values differ; nested objects key by key."""
    for key in sorted(set(before) | set(after)):
        one, other = before.get(key), after.get(key)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            yield from _keys(about(place, key), one, other)
        elif one != other:
            yield _bounded(about(place, escaped(key, LONGEST)), one, other)


def _bounded(what: str, before: Any, after: Any) -> Change:
    shown = [_short(value) for value in (before, after)]
    full = None if shown[0] == before and shown[1] == after else (before, after)
    return Change(what, shown[0], shown[1], full)


def _short(value: Any) -> Any:
    """A value that fits a cell: as it is, or the beginning of it as text."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return value if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _template(before: Any, after: Any) -> Iterator[Change]:
    """The first line in which two chat templates differ; a line feed at the very end means nothing to Jinja."""
    one, other = (text.removesuffix("\n") if isinstance(text, str) else None for text in (before, after))
    if one == other:
        return
    if one is None or other is None:
        sizes = [None if text is None else note("change_lines", count=len(text.splitlines())) for text in (one, other)]
        yield Change(note("change_template"), sizes[0], sizes[1], (before, after))
        return
    pairs = list(zip_longest(one.splitlines(), other.splitlines()))
    place = next((place for place, (a, b) in enumerate(pairs) if a != b), len(pairs) - 1)
    differing = sum(a != b for a, b in pairs)
    what = about(note("change_template"), note("change_line", line=place + 1, count=differing))
    line, other_line = pairs[place]
    yield Change(what, _around(line, other_line), _around(other_line, line), (before, after))


def _around(line: str | None, other: str | None) -> str | None:
    """A line from a little before the place where it differs from the other one, escaped."""
    if line is None:
        return None
    place = next((n for n, (a, b) in enumerate(zip_longest(line, other or "")) if a != b), 0)
    begin = max(0, place - LONGEST // 2) if len(line) > LONGEST else 0
    return ("…" if begin else "") + escaped(line[begin:], LONGEST)


def _vocabulary(before: Vocabulary | None, after: Vocabulary | None) -> list[Change]:
    """How many tokens were added, removed and re-numbered, with a few of each."""
    if before is None or after is None:
        return [] if before is after else [Change(note("change_vocabulary"), _size(before), _size(after))]
    added = [token for token in after if token not in before]
    removed = [token for token in before if token not in after]
    moved = [token for token, row in before.items() if after.get(token, row) != row]
    found = (
        [Change(about(note("change_vocabulary"), note("change_tokens")), len(before), len(after))]
        if added or removed
        else []
    )
    for name, tokens in (("added", added), ("removed", removed), ("moved", moved)):
        if tokens:
            found.append(Change(about(note("change_vocabulary"), note(f"change_{name}")), None, len(tokens)))
            few = [
                escaped(token, 40) for token in sorted(tokens, key=lambda token: _row(token, before, after))[:EXAMPLES]
            ]
            what = about(note("change_vocabulary"), note(f"change_{name}_some"))
            found.append(Change(what, *_examples(name, few, before, after)))
    return found


def _row(token: str, before: Vocabulary, after: Vocabulary) -> int:
    return after.get(token, before.get(token, 0))


def _examples(name: str, few: list[str], before: Vocabulary, after: Vocabulary) -> tuple[str | None, str | None]:
    listed = ", ".join(few)
    if name == "moved":
        rows = [", ".join(f"{token} {of.get(token, '?')}" for token in few) for of in (before, after)]
        return rows[0], rows[1]
    return (None, listed) if name == "added" else (listed, None)


def _size(vocabulary: Vocabulary | None) -> int | None:
    return None if vocabulary is None else len(vocabulary)


def _merge_at(merges: tuple[Merge, ...], place: int) -> str | None:
    return escaped(" ".join(merges[place]), LONGEST) if place < len(merges) else None


def _tokenizer(base: str, tuned: str) -> Iterator[Change]:
    """What of the tokenizers differs beside their vocabularies: merges, and how text is prepared."""
    before, after = tokenizer_of(base), tokenizer_of(tuned)
    if before is None or after is None:
        return
    if before.merges != after.merges:
        both = zip_longest(before.merges, after.merges)
        place = next(place for place, (one, other) in enumerate(both) if one != other)
        yield Change(about(note("change_tokenizer"), note("change_merges")), len(before.merges), len(after.merges))
        one, other = (_merge_at(merges, place) for merges in (before.merges, after.merges))
        what = about(note("change_tokenizer"), note("change_merge", place=place + 1))
        yield Change(what, one, other)
    for name in sorted(set(before.steps) | set(after.steps)):
        step, other_step = before.steps.get(name), after.steps.get(name)
        if step != other_step:
            yield _bounded(about(note("change_tokenizer"), name), step, other_step)
    if before.repeated != after.repeated:
        yield Change(about(note("change_tokenizer"), note("change_repeated")), before.repeated, after.repeated)
