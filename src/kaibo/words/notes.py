"""A note: a key with values that reads as a sentence in English, and says the same in another language when asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from kaibo.words.catalogue import known, word


class Note(str):
    """An English sentence that knows its key and its values, so that any language can be made of it.

    It is text wherever text is wanted: in JSON, in a comparison, in a row.

    >>> note("left_out_axis", axis=note("columns.context"), names="Falcon").said("ja")
    '文脈長 が分からないため除いたモデル：Falcon'
    """

    key: str
    values: Mapping[str, Any]

    def said(self, language: str) -> str:
        """The sentence in a language; values that are notes themselves are said in it too."""
        return word(self.key, language, **{name: said(value, language) for name, value in self.values.items()})

    def with_texts(self, change: Callable[[str], str]) -> Note:
        """The same note with every text among its values changed, also in the notes among them."""
        return note(self.key, **{name: changed(value, change) for name, value in self.values.items()})


def note(key: str, /, **values: Any) -> Note:
    """The note under `notes.KEY` of a word table, its {blanks} filled. Raises KeyError where no table has it."""
    full = key if known(key) else f"notes.{key}"
    made = Note(word(full, "en", **values))
    made.key, made.values = full, values
    return made


def about(subject: str, text: str) -> Note:
    """What is said of a model, a tensor or a task by its name.

    >>> about("tuned", note("diff_tokens", rows=64, base=64, tuned=66)).said("ja")
    'tuned: トークンで対応させました（64 行と 66 行のうち 64 行）'
    """
    return note("terms.about", subject=subject, text=text)


def quoted(text: str) -> Note:
    """Words of others, shown as they came in every language: a title, the message of an error."""
    return note("terms.plain", text=text)


def written(text: str, key: str) -> Note:
    """What a file says: the note under a key where that is its English sentence, else words of others."""
    known_one = note(key)
    return known_one if text == known_one else quoted(text)


def also(text: Note | str, more: Note | str) -> Note:
    """Two notes as one, `; ` between them."""
    return note("terms.also", text=text, more=more)


def combined(parts: Iterable[Note | str]) -> Note | str:
    """Several notes as one, `; ` between them; "" where there is none.

    >>> combined([note("pair_slot"), "", note("lone_no_row")])
    'the names differ, paired by layer and role; the two have no row in common'
    """
    whole: Note | str = ""
    for part in parts:
        whole = also(whole, part) if whole and part else whole or part
    return whole


def said(value: Any, language: str) -> Any:
    """A value as it is said in a language: a note in its words, anything else as it is."""
    return value.said(language) if isinstance(value, Note) else value


def changed(value: Any, change: Callable[[str], str]) -> Any:
    """A text, or every text among the values of a note, changed; anything else as it is."""
    if isinstance(value, Note):
        return value.with_texts(change)
    return change(value) if isinstance(value, str) else value
