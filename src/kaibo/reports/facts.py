"""What a model is, as short facts under their names; and the names of models as a page may give them away."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kaibo.errors import escaped
from kaibo.figures.names import model_name, model_names
from kaibo.vocabulary import Finding
from kaibo.vocabulary.architecture import Architecture
from kaibo.words import bytes_in_words, changed, count_in_words, heading, said, word

Fact = tuple[str, str]

FOLDERS = re.compile(
    r"""(?:file:/*|(?<![A-Za-z])[A-Za-z]:|~\w*|(?<![\w./:-]))[/\\](?:[^\s'"<>|/\\]+[/\\])*([^\s'"<>|/\\]*)"""
)


def without_folders(text: str) -> str:
    """The text with every absolute path cut to its last part: a page tells no one where it was made.

    >>> without_folders("kaibo dissect /home/ann/models/gemma --out ~/x/report and/or hf:a/b at 1/2")
    'kaibo dissect gemma --out report and/or hf:a/b at 1/2'
    """
    return FOLDERS.sub(lambda found: found[1] or "…", text)


UNKNOWN = "unknown"
"""The attention of a model whose family no anatomy describes."""

ADDRESSES = ("model", "base", "tuned", "a", "b", "nearest")
"""Columns that hold the address of a model."""


def published(findings: Iterable[Finding[Any]]) -> list[Finding[Any]]:
    """The findings with readable names in place of addresses, in rows and notes: nothing of the maker's folders."""
    found = list(findings)
    rows = [row for finding in found for row in finding.rows]
    held = (getattr(row, name, None) for name in ADDRESSES for row in rows)
    names = model_names(address for address in held if isinstance(address, str))
    return [
        dataclasses.replace(
            finding,
            rows=tuple(_renamed(row, names) for row in finding.rows),
            notes=tuple(changed(told, lambda text: published_text(text, names)) for told in finding.notes),
            provenance={},
        )
        for finding in found
    ]


def _renamed(row: Any, names: Mapping[str, str]) -> Any:
    changed: dict[str, Any] = {}
    for name in ADDRESSES:
        if isinstance(address := getattr(row, name, None), str):
            changed[name] = names[address]
    for field in dataclasses.fields(row):
        value = getattr(row, field.name)
        if isinstance(value, tuple) and value and all(isinstance(item, str) for item in value):
            changed[field.name] = tuple(published_text(item, names) for item in value)
    return dataclasses.replace(row, **changed) if changed else row


def published_text(text: str, names: Mapping[str, str]) -> str:
    """A sentence in which addresses became names and absolute paths lost their folders."""
    for address in sorted(names, key=len, reverse=True):
        if "/" in address or "\\" in address:
            text = text.replace(address, names[address])
    return without_folders(text)


def facts(model: Architecture, language: str = "en") -> tuple[Fact, ...]:
    """What the model is, as (name, value) pairs in the order a reader wants them; what is not known is left out."""
    pairs: Sequence[tuple[str, str | None]] = (
        ("model", model_name(model.model)),
        ("family", model.family),
        ("parameters", _parameters(model, language)),
        ("parts", _parts(model, language)),
        ("parameters_ahead", _count(model.parameters_ahead or None)),
        ("quantization", model.quantization),
        ("layers", _count(model.layers)),
        ("hidden", _count(model.hidden)),
        ("attention", _attention(model, language)),
        ("sliding_window", _window(model, language)),
        ("experts", _experts(model, language)),
        ("norm", _joined([model.norm.kind, model.norm.placement])),
        ("activation", _joined([model.activation.name, model.activation.function], distinct=True)),
        ("position", _positions(model, language)),
        ("context", _count(model.context)),
        ("vocabulary", _count(model.vocabulary)),
        ("tied", None if model.tied is None else word("terms.yes" if model.tied else "terms.no", language)),
        ("kv_cache", _cache(model, language)),
        ("weights_bytes", _memory(model, language)),
        (
            "flops_per_token",
            _attention(model, language) if model.attention == UNKNOWN else _flops(model.flops_per_token),
        ),
        ("training_flops", _flops(model.training_flops)),
        ("chat_template", word("terms.none", language) if model.chat_template == "none" else model.chat_template),
        ("remarks", _sentences(model.remarks, language)),
    )
    return tuple((heading(name, language), escaped(value, 600)) for name, value in pairs if value)


def _count(value: int | None) -> str | None:
    return None if value is None else f"{value:,}"


def _flops(value: int | None) -> str | None:
    return None if value is None else f"{value:.3g}"


def _joined(parts: Iterable[str | None], distinct: bool = False) -> str | None:
    given = [part for part in parts if part]
    if distinct:
        given = list({part.lower(): part for part in reversed(given)}.values())[::-1]
    return ", ".join(given) or None


def _sentences(texts: Iterable[str], language: str) -> str | None:
    return ("" if language == "ja" else " ").join(said(text, language) for text in texts) or None


def _parameters(model: Architecture, language: str) -> str | None:
    if model.parameters is None:
        return None
    said = count_in_words(model.parameters, language)
    return said if said == f"{model.parameters:,}" else f"{model.parameters:,} ({said})"


def _attention(model: Architecture, language: str) -> str | None:
    if model.attention == UNKNOWN:
        return word("terms.unknown", language)
    if model.attention is None or model.heads is None:
        return model.attention
    numbers = {"heads": model.heads, "kv_heads": model.kv_heads or "-", "head_size": model.head_size or "-"}
    return word("page.heads_of", language, attention=model.attention, **numbers)


def _window(model: Architecture, language: str) -> str | None:
    if model.window is None or not model.windowed_layers:
        return None
    return word(
        "page.window_of", language, count=model.windowed_layers, layers=model.layers or "-", window=f"{model.window:,}"
    )


def _experts(model: Architecture, language: str) -> str | None:
    experts = model.experts
    return None if experts is None else word("page.experts_of", language, count=experts.count, used=experts.used)


def _positions(model: Architecture, language: str) -> str | None:
    positions = model.positions
    parts = [positions.kind]
    if positions.base is not None:
        parts.append(word("page.rope_of", language, base=f"{positions.base:,.10g}"))
    if positions.local_base is not None:
        parts.append(word("page.rope_local", language, base=f"{positions.local_base:,.10g}"))
    if positions.share not in (None, 1.0):
        parts.append(word("page.rope_share", language, share=f"{positions.share:.0%}"))
    if positions.scaling is not None:
        factor = "-" if positions.factor is None else f"{positions.factor:g}"
        parts.append(word("page.scaling_of", language, scaling=positions.scaling, factor=factor))
    return _joined(parts)


def _cache(model: Architecture, language: str) -> str | None:
    if model.kv_bytes_per_token is None:
        return word("terms.unknown", language) if model.attention == UNKNOWN else None
    said = []
    for bits, per_token in (("16", model.kv_bytes_per_token), ("8", model.kv_bytes_per_token // 2)):
        parts = [word("page.bytes_per_token", language, size=bytes_in_words(per_token), bits=bits)]
        if bits in model.kv_bytes_full:
            parts.append(word("page.kv_full", language, size=bytes_in_words(model.kv_bytes_full[bits])))
        said.append(_joined(parts))
    if model.state_bytes:
        said.append(word("page.kv_state", language, size=bytes_in_words(model.state_bytes)))
    for tokens, sizes in model.cache_at.items():
        numbers = {name: bytes_in_words(sizes[name]) for name in ("growing", "constant")}
        at = {"tokens": f"{int(tokens):,}", "wide": bytes_in_words(sizes["16"]), "narrow": bytes_in_words(sizes["8"])}
        said.append(word("page.kv_at", language, **at, **numbers))
    return "; ".join(text for text in said if text)


def _parts(model: Architecture, language: str) -> str | None:
    """The parameters of each part of a model of several, and of all."""
    if model.parameters_whole is None:
        return None
    named = [f"{name} {count_in_words(size, language)}" for name, size in model.parameters_by_part.items()]
    return word("page.parts_of", language, whole=f"{model.parameters_whole:,}", parts=", ".join(named))


def _memory(model: Architecture, language: str) -> str | None:
    stored = model.stored_bytes and word("page.as_stored", language, size=bytes_in_words(model.stored_bytes))
    widths = (
        word("page.at_bits", language, bits=bits, size=bytes_in_words(model.weights_bytes[bits]))
        for bits in ("32", "16", "8", "4")
        if bits in model.weights_bytes
    )
    return _joined([stored or None, *widths])
