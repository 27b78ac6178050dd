"""The nouns that every room shares: plain values without any reading or writing."""

from kaibo.vocabulary.census import Census, Points, Sums, points, sums, total
from kaibo.vocabulary.dtypes import DTYPES, DType, Patterns, first_digits, values_of, widen
from kaibo.vocabulary.findings import LEVELS, By, Finding, Row, jsonable, plain, shown
from kaibo.vocabulary.tensors import Buffer, Model, Tensor

__all__ = [
    "DTYPES",
    "LEVELS",
    "Buffer",
    "By",
    "Census",
    "DType",
    "Finding",
    "Model",
    "Patterns",
    "Points",
    "Row",
    "Sums",
    "Tensor",
    "first_digits",
    "jsonable",
    "plain",
    "points",
    "shown",
    "sums",
    "total",
    "values_of",
    "widen",
]
