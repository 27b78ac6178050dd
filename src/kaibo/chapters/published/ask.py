"""What published tables say, drawn: scores against size or FLOPs, two rows apart, pass@k over k, printed shares."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from kaibo.chapters.published.against import against as against_of
from kaibo.chapters.published.paired import Paired, TestSize
from kaibo.chapters.published.paired import paired as paired_of
from kaibo.chapters.published.pass_curves import pass_curves as pass_curves_of
from kaibo.chapters.published.rows import AgainstRow, PassRow, ShareRow
from kaibo.chapters.published.shares import shares as shares_of
from kaibo.chapters.table.ask import Address, TableOptions, read
from kaibo.tables import shipped
from kaibo.vocabulary import Finding

Tables = Address | Iterable[Address]


def against(
    tables: Tables, x: str = "parameters", *, own: str = "*", columns: str | None = None,
    options: TableOptions | None = None,
) -> Finding[AgainstRow]:  # fmt: skip
    """Every score of a table against `parameters`, `tokens` or `flops`; models that fit `own` against the rest.

    Several tables are joined by model, so that `["open-models", "training-tokens"]` knows FLOPs. Raises UsageError for
    another axis, and for patterns that fit nothing.
    """
    scores = read(tables, options).table
    return against_of(scores, x, own, scores.matching(columns) if columns else None)


def paired(
    tables: Tables, pairs: Sequence[tuple[str, str]], *, questions: Mapping[str, int] | None = None,
    options: TableOptions | None = None,
) -> Paired:  # fmt: skip
    """The differences a − b of pairs of a table's models by benchmark, and their sums.

    `questions` are sizes of test sets that the shipped list does not know. Raises UsageError for unknown models.
    """
    return paired_of(read(tables, options).table, pairs, _sizes(questions))


def pass_curves(
    tables: Tables, *, questions: Mapping[str, int] | None = None, options: TableOptions | None = None
) -> Finding[PassRow]:
    """pass@k over k of every model of a table with columns `BENCHMARK@K`."""
    return pass_curves_of(read(tables, options).table, _sizes(questions))


def shares(
    tables: Tables, column: str, total: float, *, step: float = 0.01, marked: str = "",
    options: TableOptions | None = None,
) -> Finding[ShareRow]:  # fmt: skip
    """The shares that a table prints, the largest first, and the amounts of `total` that they come to.

    `step` is the last printed digit, in the unit of the column; `marked` the name that is asked about.
    """
    return shares_of(read(tables, options).table, column, total, step=step, marked=marked)


def _sizes(more: Mapping[str, int] | None) -> dict[str, TestSize]:
    known = {
        name: TestSize(one.get("questions"), one.get("source", ""), one.get("share", True))
        for name, one in shipped.test_sizes().items()
    }
    return known | {name: TestSize(count) for name, count in (more or {}).items()}
