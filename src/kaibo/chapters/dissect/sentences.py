"""The plain sentences of what stands out: a key and its values in, one sentence out, rounded for reading."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from kaibo.errors import UsageError, escaped
from kaibo.figures.names import model_name
from kaibo.words import bytes_in_words, count_in_words, known, percent, rounded, word

Formatter = Callable[[Any, str], str]


def _points(share: float | None, _: str) -> str:
    return "-" if share is None or not math.isfinite(share) else f"{100 * share:.2f}"


def _term(name: str | None, language: str) -> str:
    key = f"terms.{str(name).split()[0]}" if name else ""
    return word(key, language) if key and known(key) else "-" if name is None else escaped(name)


def _model(address: object, _: str) -> str:
    return "-" if address is None else model_name(str(address))


def _name(name: object, _: str) -> str:
    joined = ", ".join(map(str, name)) if isinstance(name, tuple | list) else name
    return "-" if joined is None else escaped(joined, 100)


def _number(value: float | None, _: str) -> str:
    return rounded(value)


def _share(value: float | None, _: str) -> str:
    return percent(value)


def _bytes(value: float | None, _: str) -> str:
    return bytes_in_words(value)


SENTENCES: Mapping[str, Mapping[str, Formatter]] = {
    "size": {"parameters": count_in_words, "layers": _number, "dtype": _name},
    "digits": {"mae": _points, "gaussian_mae": _points, "mixture_mae": _points, "conformity": _term},
    "changed": {
        "base": _model,
        "n": count_in_words,
        "differ": count_in_words,
        "share": _share,
        "relative": _share,
        "times": _number,
        "unmatched": count_in_words,
    },
    "widest": {"tensor": _name, "n": count_in_words, "std": _number},
    "tails": {
        "tensor": _name,
        "kurtosis": _number,
        "fewest": count_in_words,
        "sigmas": _number,
        "beyond": _share,
        "expected": _share,
    },
    "entropy": {"bits": _number, "stored_bits": _number, "saving": _share},
    "grid": {"grid": _name, "share": _share},
    "seen": {"share": _share},
    "zeros": {"zeros": count_in_words, "share": _share},
    "nonfinite": {"count": count_in_words, "tensors": count_in_words},
    "norms": {"tensor": _name, "l1": _number, "l2": _number},
    "memory": {"bits16": _bytes, "bits4": _bytes},
}
"""Each sentence with the values it needs and how each is written; the texts are in the word tables."""


LIGHT = 0.5
"""Below this excess kurtosis a tail is not called heavy (a logistic distribution has 1.2)."""


def _variant(key: str, values: Mapping[str, Any]) -> str:
    """Which wording fits the values: without a layer, without a null to compare with, with nothing to count."""
    if key == "digits":
        closer = values.get("closer")
        return f"digits_{closer}" if closer in ("law", "null") else "digits_plain"
    if key == "tails":
        return _tails(values)
    if key == "changed":
        return _changed(values)
    if key == "size" and not values.get("layers"):
        return f"{key}_flat"
    if key == "seen" and not values.get("share"):
        return "seen_none"
    return "zeros_none" if key == "zeros" and not values.get("zeros") else key


def _tails(values: Mapping[str, Any]) -> str:
    kurtosis = values.get("kurtosis")
    if kurtosis is not None and kurtosis < LIGHT:
        return "tails_none"
    return "tails" if values.get("beyond") else "tails_bare"


def _changed(values: Mapping[str, Any]) -> str:
    """Nothing met, nothing differs, or how much does; and what could not be compared."""
    if not values.get("n"):
        return "changed_unmet"
    kind = "changed_none" if not values.get("differ") else "changed" if values.get("times") else "changed_only"
    return f"{kind}_partly" if values.get("unmatched") else kind


def sentence(key: str, values: Mapping[str, Any], language: str = "en") -> str:
    """One finding in plain words; a value that is missing is shown as `-`.

    Raises UsageError for a key without a sentence.

    >>> sentence("zeros", {"zeros": 1200, "share": 0.0001})
    '1,200 of its weights are exactly zero (0.01 %).'
    """
    if key not in SENTENCES:
        raise UsageError(f"no sentence for {key!r}", next=f"sentences: {', '.join(SENTENCES)}")
    filled = {name: write(values.get(name), language) for name, write in SENTENCES[key].items()}
    return word(f"sentences.{_variant(key, values)}", language, **filled)
