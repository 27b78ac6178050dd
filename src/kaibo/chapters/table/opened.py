"""What is in a table, as tables: size, holes, columns that repeat others or say nothing, how it was joined."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kaibo.chapters.table.rows import TableRow
from kaibo.vocabulary import Finding
from kaibo.vocabulary.kinds import Kind
from kaibo.words import Note, note


@dataclass(frozen=True)
class Size:
    """How much a table holds; `known` counts the models of which a fact is known."""

    table: str
    models: int
    benchmarks: int
    missing: int
    families: int
    known: Mapping[str, int]


@dataclass(frozen=True)
class HolesOfBenchmark:
    """How many models lack a score."""

    benchmark: str
    missing: int


@dataclass(frozen=True)
class HolesOfModel:
    """How many scores a model lacks."""

    model: str
    missing: int


@dataclass(frozen=True)
class Average:
    """A column that is a mean of others, and by how much it is off at most."""

    benchmark: str
    members: tuple[str, ...]
    off: float


@dataclass(frozen=True)
class Alike:
    """Two columns that say nearly the same."""

    a: str
    b: str
    r: float


@dataclass(frozen=True)
class Silent:
    """A column that says nothing."""

    benchmark: str
    reason: Note


@dataclass(frozen=True)
class Joined:
    """Two spellings that were taken for one model."""

    a: str
    b: str


@dataclass(frozen=True)
class Lone:
    """A model that is in one table only."""

    model: str


SIZE = Kind("table-size", Size, __package__, label="table.size")
HOLES_OF_BENCHMARKS = Kind("table-holes", HolesOfBenchmark, __package__, label="table.holes_of_benchmarks")
HOLES_OF_MODELS = Kind("table-holes-of-models", HolesOfModel, __package__, label="table.holes_of_models")
AVERAGES = Kind("table-averages", Average, __package__, label="table.averages")
ALIKE = Kind("table-alike", Alike, __package__, label="table.alike")
SILENT = Kind("table-silent", Silent, __package__, label="table.silent")
JOINED = Kind("table-joined", Joined, __package__, label="table.joined")
LONE = Kind("table-lone", Lone, __package__, label="table.lone")


def opened(finding: Finding[TableRow]) -> tuple[Finding[Any], ...]:
    """A finding for each thing that there is to say of the first table."""
    found = _parts(finding.rows[0])
    return tuple(Finding(kind, tuple(rows), (), finding.provenance) for kind, rows in found if rows)


def _parts(row: TableRow) -> Iterator[tuple[Kind[Any], list[Any]]]:
    yield SIZE, [Size(row.name, len(row.models), len(row.benchmarks), row.missing, row.families, row.known)]
    yield HOLES_OF_BENCHMARKS, [HolesOfBenchmark(*one) for one in row.missing_by_benchmark.items()]
    yield HOLES_OF_MODELS, [HolesOfModel(*one) for one in row.missing_by_model.items()]
    yield AVERAGES, [Average(one.benchmark, one.members, one.residual) for one in row.average_of]
    yield ALIKE, [Alike(*one) for one in row.near_duplicates]
    silent = [Silent(name, note("column_constant")) for name in row.constant]
    yield SILENT, [*silent, *(Silent(name, note("column_empty")) for name in row.empty)]
    yield JOINED, [Joined(*one) for one in row.renamed]
    yield LONE, [Lone(name) for name in row.unmatched]
