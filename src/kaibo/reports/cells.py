"""What stands in a cell: a value as people read it, in their language."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from kaibo.errors import escaped
from kaibo.vocabulary import shown
from kaibo.words import Note, heading, known, said, word


def cell(name: str, value: Any, language: str = "en", terms: str | None = None) -> str:
    """A value as people read it: four digits, terms in their language, names from strangers spelled out.

    `terms` is the section of the word tables in which the values of this column are words.
    """
    for spelled in (str(value), re.sub("[- ]", "_", str(value))) if terms else ():
        if known(f"{terms}.{spelled}"):
            return word(f"{terms}.{spelled}", language)
    if name == "key" and value is None:
        return word("terms.outside", language)  # whole models have no such column, only what is in no layer
    if name == "why" and isinstance(value, Mapping):
        return "; ".join(escaped(said(reason, language), 1000) for reason in value.values())
    if isinstance(value, Note):
        return escaped(value.said(language), 1000)
    if name == "shape" and isinstance(value, tuple | list):
        return "×".join(map(str, value)) or "1"
    if name == "role" and value == "all":
        return word("terms.all", language)
    if name == "by":
        return word(f"page.by_{value}", language)
    if isinstance(value, Mapping):
        names = {key: heading(str(key), language) if known(f"columns.{key}") else escaped(key) for key in value}
        return ", ".join(f"{names[key]}: {cell(name, one, language)}" for key, one in value.items())
    if name in ("layer", "exponent", "key", "digit") and isinstance(value, int):
        return str(value)
    if isinstance(value, tuple | list) and value and all(isinstance(one, str) for one in value):
        return ", ".join(escaped(said(one, language)) for one in value)
    if isinstance(value, bool):
        return word("terms.yes" if value else "terms.no", language)
    if isinstance(value, str):
        return escaped(value)
    return shown(value)
