"""What stands in a cell: a value as people read it, in their language."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kaibo.errors import escaped
from kaibo.figures.words import note, word
from kaibo.figures.words.catalogue import catalogue
from kaibo.vocabulary import shown

SAID = ("evidence", "reason", "said", "what", "how", "way")
"""Columns of phrases that the word tables know in every language."""


def cell(name: str, value: Any, language: str = "en") -> str:
    """A value as people read it: four digits, terms in their language, names from strangers spelled out."""
    if name == "key" and value is None:
        return word("terms.outside", language)  # whole models have no such column, only what is in no layer
    if name == "kind" and f"audit.{value}" in catalogue(language):
        return word(f"audit.{value}", language)
    if name == "group" and f"compared.{value}" in catalogue(language):
        return word(f"compared.{value}", language)
    if name == "variant" and f"law_trial.{str(value).replace('-', '_')}" in catalogue(language):
        return word(f"law_trial.{str(value).replace('-', '_')}", language)
    if name in ("trend", "uncorrected") and f"trends.{value}" in catalogue(language):
        return word(f"trends.{value}", language)
    if name == "format" and f"formats.{value}" in catalogue(language):
        return word(f"formats.{value}", language)
    if name in ("best", "over") and f"trajectories.{value}_short" in catalogue(language):
        return word(f"trajectories.{value}_short", language)
    if name == "verdict":
        return word(f"study.{str(value).replace(' ', '_')}", language)
    if name == "why" and isinstance(value, Mapping):
        return "; ".join(escaped(note(str(reason), language), 1000) for reason in value.values())
    if name in SAID and isinstance(value, str):
        return escaped(note(value, language), 1000)
    if name == "shape" and isinstance(value, tuple | list):
        return "×".join(map(str, value)) or "1"
    if name in ("against", "apart_by") and f"fine_tunes.{value}" in catalogue(language):
        return word(f"fine_tunes.{value}", language)
    if name == "role" and value == "all":
        return word("terms.all", language)
    if name == "by":
        return word(f"page.by_{value}", language)
    if name in ("layer", "exponent", "key", "digit") and isinstance(value, int):
        return str(value)
    if name in ("conformity", "towards") and isinstance(value, str):
        return _term(value, language)
    if isinstance(value, bool):
        return word("terms.yes" if value else "terms.no", language)
    if isinstance(value, str):
        return escaped(value)
    return shown(value)


def _term(value: str, language: str) -> str:
    try:
        return word(f"terms.{value.split()[0]}", language)
    except (KeyError, IndexError):
        return escaped(value)
