"""When two names mean one model: NFKC, case folded, without the organisation, through one alias file."""

from __future__ import annotations

import csv
import io
import os
import re
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path

from kaibo.documents.reading import TOML_LIMIT, read_text
from kaibo.documents.toml_text import toml_value
from kaibo.errors import FormatError

_OPENING = re.compile(r"<a(?=[\s>])", re.IGNORECASE)
_CLOSING = re.compile(r"</a>", re.IGNORECASE)


def shown_name(name: str) -> str:
    """A model's name as it is shown: links of leaderboard exports taken off.

    >>> shown_name('<a target="_blank" href="https://x">org/Model-7B</a>  📑')
    'org/Model-7B'
    """
    return without_links(_without_anchor(name)).strip()


def _without_anchor(name: str) -> str:
    """The label of the first HTML link with what stands before it; what stands behind it is decoration."""
    opening = _OPENING.search(name)
    begin = -1 if opening is None else name.find(">", opening.end())
    closing = None if begin < 0 else _CLOSING.search(name, begin + 1)
    if opening is None or closing is None:
        return name
    return name[: opening.start()] + name[begin + 1 : closing.start()]


def without_links(text: str) -> str:
    """A text with the labels of its Markdown links in their places. Every character is looked at once.

    >>> without_links("[a](http://x) and [b] and [c](y)")
    'a and [b] and c'
    """
    out: list[str] = []
    done = 0
    middle, end = text.find("]("), 0
    while middle >= 0:
        end = text.find(")", middle + 2) if end < middle + 2 else end
        if end < 0:
            break
        begin = text.find("[", max(done, text.rfind("]", done, middle) + 1), middle)
        if begin >= 0:
            out += [text[done:begin], text[begin + 1 : middle]]
            done = end + 1
        middle = text.find("](", max(done, middle + 2))
    return "".join([*out, text[done:]])


def canonical(name: str) -> str:
    """The key under which a name is joined: NFKC, trimmed, case folded, without `org/`.

    >>> canonical("Meta-Llama/Ｌlama-2-7b-hf ")
    'llama-2-7b-hf'
    """
    folded = unicodedata.normalize("NFKC", name).strip().casefold()
    return folded.rsplit("/", 1)[-1].strip() if "/" in folded.rstrip("/") else folded


def read_aliases(path: str | os.PathLike[str]) -> dict[str, str]:
    """An alias file, other name to name: TOML (`"other" = "name"`, at the top or under `[alias]`) or a CSV of two
    columns. Both sides become canonical. Raises FormatError for a name that is given two meanings.
    """
    file = Path(path)
    text = read_text(file, TOML_LIMIT)
    pairs = _toml(text, file) if file.suffix == ".toml" else _csv(text, file)
    aliases: dict[str, str] = {}
    for other, name in pairs:
        key, value = canonical(other), canonical(name)
        if aliases.setdefault(key, value) != value:
            raise FormatError(f'"{other}" stands for two names, "{aliases[key]}" and "{value}"', file=file)
    return aliases


def _toml(text: str, file: Path) -> list[tuple[str, str]]:
    document = toml_value(text, file)
    table = document.get("alias", document)
    if not isinstance(table, dict) or not all(isinstance(value, str) for value in table.values()):
        raise FormatError('an alias file holds lines such as "other name" = "name"', file=file)
    return list(table.items())


def _csv(text: str, file: Path) -> list[tuple[str, str]]:
    pairs, reader = [], csv.reader(io.StringIO(text, newline=""))
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                other, name = row
                pairs.append((other, name))
    except (ValueError, csv.Error) as wrong:
        message = f"line {reader.line_num}: an alias is two cells, the other name and the name"
        raise FormatError(message, file=file) from wrong
    return pairs


def keys(names: Sequence[str], aliases: Mapping[str, str]) -> list[str]:
    """The key of each name, aliases followed once."""
    found = (canonical(name) for name in names)
    return [aliases.get(key, key) for key in found]


_SIZE = re.compile(
    r"(?<![\d.])(?:\d{1,6}x)?\d{1,6}(?:\.\d{1,6})?[bm](?![a-z])|[-_. ](?:instruct|chat|base|it|hf)\b", re.IGNORECASE
)
_SEPARATORS = "-_. "


def family_of(name: str) -> str:
    """The family a name suggests: what stands before the size.

    >>> family_of("meta-llama/Llama-2-7b-hf"), family_of("Qwen/Qwen1.5-0.5B"), family_of("gpt-4")
    ('Llama-2', 'Qwen1.5', 'gpt-4')
    """
    bare = unicodedata.normalize("NFKC", name).rsplit("/", 1)[-1].strip()
    size = _SIZE.search(bare)
    return bare if size is None else bare[: size.start()].rstrip(_SEPARATORS) or bare
