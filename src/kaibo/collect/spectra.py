"""Spectra of matrices: those that the store knows are looked up, the rest are read, decomposed and kept."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

from kaibo.collect.censuses import FLUSH_SECONDS, Options
from kaibo.collect.engine import named, ordered
from kaibo.collect.watch.stopping import Stopping
from kaibo.errors import KaiboError
from kaibo.spectra import SETTINGS, Matrix, matrices_of, one_blas_thread, spectrum_of
from kaibo.store import Failure, Store
from kaibo.vocabulary import Row, Spectrum, SpectrumRow, Tensor


@dataclass(frozen=True)
class Decomposed:
    """The spectra of some tensors, and what it took to have them: how many were computed, how many looked up."""

    rows: tuple[SpectrumRow, ...]
    measured: int
    known: int
    failures: tuple[KaiboError, ...] = ()


Found = dict[tuple[str, int], Spectrum]


def take_spectra(
    label: str, wanted: Sequence[tuple[Tensor, Row]], store: Store, options: Options | None = None
) -> Decomposed:
    """A row for every matrix of these tensors, in order; each content is decomposed once.

    What was finished is in the store whatever happens afterwards. A tensor that cannot be read is recorded as a
    failure and the others go on. Raises StorageError when the store cannot be written, StoppedError after a signal.
    """
    options = options or Options()
    found: Found = {} if options.verify else store.spectra({row.content for _, row in wanted}, SETTINGS)
    known = len(found)
    todo = _todo(wanted, found)
    options.progress.begin(label, sum(_bytes(matrix) for matrix in todo.values()))
    failures = _measure(label, todo, store, options, found)
    rows = tuple(row for tensor, of in wanted for row in _rows(tensor, of, found))
    return Decomposed(rows, len(found) - known, known, tuple(failures))


def _todo(
    wanted: Sequence[tuple[Tensor, Row]], found: Mapping[tuple[str, int], Spectrum]
) -> dict[tuple[str, int], Matrix]:
    return {
        (row.content, matrix.part): matrix
        for tensor, row in wanted
        for matrix in matrices_of(tensor)[0]
        if (row.content, matrix.part) not in found
    }


def _bytes(matrix: Matrix) -> int:
    return matrix.size * (matrix.tensor.dtype.itemsize or 1)


Task = tuple[tuple[str, int], Matrix]


def _run(task: Task) -> tuple[Task, Spectrum | KaiboError]:
    try:
        return task, spectrum_of(task[1])
    except KaiboError as error:
        return task, named(error, task[1].tensor)


def _measure(
    label: str, todo: Mapping[tuple[str, int], Matrix], store: Store, options: Options, found: Found
) -> list[KaiboError]:
    failures: list[KaiboError] = []
    pending: Found = {}
    since = time.monotonic()
    with one_blas_thread(), Stopping() as stopping, closing(ordered(todo.items(), _run, options.workers)) as under_way:
        try:
            for (key, matrix), outcome in under_way:
                options.progress.advance(_bytes(matrix))
                if isinstance(outcome, KaiboError):
                    failures.append(outcome)
                    store.record_failures([Failure(label, outcome.tensor, outcome.kind, outcome.message)])
                else:
                    found[key] = pending[key] = outcome
                if time.monotonic() - since >= FLUSH_SECONDS:
                    store.record_spectra(pending, SETTINGS)
                    pending, since = {}, time.monotonic()
                if stopping.signal is not None or (failures and options.fail_fast):
                    break
        finally:
            if pending:
                store.record_spectra(pending, SETTINGS)
        stopping.check()
    return failures


def _rows(tensor: Tensor, row: Row, found: Mapping[tuple[str, int], Spectrum]) -> Iterator[SpectrumRow]:
    matrices, why = matrices_of(tensor)
    if not matrices:
        yield SpectrumRow(row, None, None, why)
    stacked = len(tensor.shape) == 3
    for matrix in matrices:
        spectrum = found.get((row.content, matrix.part))
        if spectrum is not None:
            yield SpectrumRow(row, matrix.part if stacked else None, spectrum)
