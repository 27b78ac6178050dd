"""The word tables: each subject's `words.toml` holds its texts in English and Japanese side by side."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from kaibo.errors import UsageError

LANGUAGES = ("en", "ja")
"""The languages that figures, tables and pages speak."""

Texts = Mapping[str, str]

_PACKAGE = Path(__file__).parents[1]


def word_files() -> Iterator[Path]:
    """Every table that ships: one for what all share, one for each subject."""
    yield from sorted(_PACKAGE.glob("*/words.toml"))
    yield from sorted(_PACKAGE.glob("chapters/*/words.toml"))


def table(path: Path) -> dict[str, Texts]:
    """The texts of one file under `section.name`, each with its languages."""
    sections = tomllib.loads(path.read_text(encoding="utf-8"))
    return {f"{section}.{name}": texts for section, words in sections.items() for name, texts in words.items()}


@cache
def _homes() -> dict[str, Path]:
    """Which file holds which word: a file is parsed when one of its words is first asked for."""
    found: dict[str, Path] = {}
    for path in word_files():
        section = ""
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.startswith("["):
                section = line.strip("[] ")
            elif "=" in line and not line.startswith("#"):
                name = line.partition("=")[0].strip(' "')
                found[f"{section}.{name}"] = path
    return found


_table = cache(table)
_given: dict[str, dict[str, Texts]] = {}


def given(path: Path) -> None:
    """Adds the word table of a stranger's folder; its words are looked up before those that ship."""
    _given[str(path)] = table(path)


def texts(key: str) -> Texts | None:
    """The texts under `section.name` by language; None where no table has them."""
    for own in _given.values():
        if key in own:
            return own[key]
    home = _homes().get(key)
    return None if home is None else _table(home)[key]


def everything() -> dict[str, Texts]:
    """All texts that ship, by their keys."""
    return {key: texts for path in word_files() for key, texts in table(path).items()}


def spoken(language: str) -> str:
    """The language, if there are words in it. Raises UsageError where there are none."""
    if language not in LANGUAGES:
        raise UsageError(f"no words in {language!r}", next=f"languages: {', '.join(LANGUAGES)}")
    return language


def known(key: str) -> bool:
    """Whether there is a text under this key."""
    return texts(key) is not None


def word(key: str, language: str = "en", /, **values: object) -> str:
    """The text under `section.name`, its {braces} filled with `values`.

    >>> word("page.rows", "en", count=3)
    '3 rows'
    """
    found = texts(key)
    if found is None:
        raise KeyError(key)
    text = found[spoken(language)]
    return text.format(**values) if values else text


def heading(column: str, language: str = "en") -> str:
    """What stands above a column; a column without a word of its own keeps its name.

    >>> heading("std"), heading("shares_1", "ja"), heading("new_thing")
    ('σ', '割合 1', 'new thing')
    """
    if known(f"columns.{column}"):
        return word(f"columns.{column}", language)
    stem, _, rest = column.rpartition("_")
    if rest.isdigit() and known(f"columns.{stem}"):
        return f"{word(f'columns.{stem}', language)} {rest}"
    return column.replace("_", " ")
