"""The nouns that every room shares: plain values without any reading or writing.

What needs numpy is loaded when it is first used: `kaibo --help` and `kaibo inspect config.json` do without.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from kaibo.vocabulary.architecture import Activation, Architecture, Experts, Kept, Norm, PositionEncoding
from kaibo.vocabulary.findings import LEVELS, By, Finding, Row, jsonable, plain, shown, with_reasons
from kaibo.vocabulary.functions import Function

if TYPE_CHECKING:
    from kaibo.vocabulary.counts.census import Census, total
    from kaibo.vocabulary.counts.points import Points, Sums, points, sums
    from kaibo.vocabulary.differences import Crossed, CrossRow, Joint, PairRow, SignRow, Signs, crossed, joined
    from kaibo.vocabulary.dtypes import DTYPES, DType, Patterns, first_digits, values_of, widen, widen32
    from kaibo.vocabulary.spectra import Spectrum, SpectrumRow
    from kaibo.vocabulary.tensors import Buffer, Model, Tensor, floats_of
    from kaibo.vocabulary.token_logs import LogKey, TokenLog, joined_logs, no_tokens

__all__ = [
    "DTYPES",
    "LEVELS",
    "Activation",
    "Architecture",
    "Buffer",
    "By",
    "Census",
    "CrossRow",
    "Crossed",
    "DType",
    "Experts",
    "Finding",
    "Function",
    "Joint",
    "Kept",
    "LogKey",
    "Model",
    "Norm",
    "PairRow",
    "Patterns",
    "Points",
    "PositionEncoding",
    "Row",
    "SignRow",
    "Signs",
    "Spectrum",
    "SpectrumRow",
    "Sums",
    "Tensor",
    "TokenLog",
    "crossed",
    "first_digits",
    "floats_of",
    "joined",
    "joined_logs",
    "jsonable",
    "no_tokens",
    "plain",
    "points",
    "shown",
    "sums",
    "total",
    "values_of",
    "widen",
    "widen32",
    "with_reasons",
]

_HOMES = {
    ".counts.census": "Census total",
    ".counts.points": "Points Sums points sums",
    ".differences": "Crossed CrossRow Joint PairRow SignRow Signs crossed joined",
    ".dtypes": "DTYPES DType Patterns first_digits values_of widen widen32",
    ".spectra": "Spectrum SpectrumRow",
    ".tensors": "Buffer Model Tensor floats_of",
    ".token_logs": "LogKey TokenLog joined_logs no_tokens",
}
_HOME = {name: module for module, names in _HOMES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name], __name__), name)
