"""The word tables: one TOML file per language, the same keys in each."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files

from kaibo.errors import UsageError

LANGUAGES = ("en", "ja")
"""The languages that figures and pages speak."""


@cache
def catalogue(language: str) -> dict[str, str]:
    """All words of one language under `section.name`. Raises UsageError for a language that has no table."""
    if language not in LANGUAGES:
        raise UsageError(f"no words in {language!r}", next=f"languages: {', '.join(LANGUAGES)}")
    sections = tomllib.loads(files("kaibo.figures.words").joinpath(f"{language}.toml").read_text(encoding="utf-8"))
    return {f"{section}.{name}": text for section, words in sections.items() for name, text in words.items()}


def word(key: str, language: str = "en", /, **values: object) -> str:
    """The word under `section.name`, its {braces} filled with `values`.

    >>> word("page.rows", "en", count=3)
    '3 rows'
    """
    text = catalogue(language)[key]
    return text.format(**values) if values else text


def heading(column: str, language: str = "en") -> str:
    """What stands above a column; a column without a word of its own keeps its name.

    >>> heading("std"), heading("shares_1", "ja"), heading("new_thing")
    ('σ', '割合 1', 'new thing')
    """
    words = catalogue(language)
    if f"columns.{column}" in words:
        return words[f"columns.{column}"]
    stem, _, rest = column.rpartition("_")
    if rest.isdigit() and f"columns.{stem}" in words:
        return f"{words[f'columns.{stem}']} {rest}"
    return column.replace("_", " ")
