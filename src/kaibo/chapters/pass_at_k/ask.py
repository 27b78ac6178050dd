"""`kaibo pass-at-k`: samples are run behind walls against their problems, and pass@k is estimated from the verdicts."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kaibo.chapters.pass_at_k.estimate import pairs_of, pass_at_k, rows_of
from kaibo.chapters.pass_at_k.rows import PASS_AT_K, PASS_PAIRS, PassAtKRow, PassPair, Tally
from kaibo.chapters.published.ask import pass_curves
from kaibo.chapters.published.rows import PASS_CURVES, PassRow
from kaibo.collect import granted_workers
from kaibo.collect.shards import Shard, Share
from kaibo.collect.verdicts import Judging, code_hash, judged, share_verdicts
from kaibo.desk.addresses import Address, OnError, addresses, raising
from kaibo.desk.measuring import Settings, open_store
from kaibo.errors import UsageError
from kaibo.sandbox import VERDICTS, Judged, Limits, Problem, chosen, problems, samples
from kaibo.version import __version__
from kaibo.vocabulary import Finding
from kaibo.words import Note, about, note

KS = (1, 10, 100)
CURVE = (1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200, 300, 500, 1000)
PUBLISHED = {"HumanEval/": "HE", "Mbpp/": "MBPP"}
"""The benchmark of a published table by how the names of its problems begin; MBPP's own are bare numbers."""


Programs = Mapping[str, Sequence[tuple[Problem, str]]]
"""Programs with the problems that they are to solve, by the file or the model that they come from."""


@dataclass(frozen=True)
class PassOptions:
    """How samples are judged. `ks` None means those of 1, 10 and 100 that every problem has samples for."""

    ks: Sequence[int] | None = None
    limits: Limits = field(default_factory=Limits)
    sandbox: str | None = None
    accept_unsandboxed: bool = False


@dataclass(frozen=True)
class Passes:
    """pass@k by file of samples, the files compared, and the curve over k beside the published ones."""

    passes: Finding[PassAtKRow]
    pairs: Finding[PassPair]
    curves: Finding[PassRow]
    problems: tuple[tuple[str, Tally], ...] = ()


def pass_at(
    files: Address | Sequence[Address],
    of: Address,
    *,
    options: PassOptions | None = None,
    settings: Settings | None = None,
    on_error: OnError | None = None,
) -> Passes:
    """pass@k of files of samples over the problems of the file `of`; several files are compared by problem.

    Raises PolicyError where no sandbox stands and none was waived, FormatError for files that are malformed,
    MissingError where one is absent. A problem whose own test cannot judge is told to `on_error` and left out.
    """
    options, settings, report = options or PassOptions(), settings or Settings(), on_error or raising
    return passes_of(*_read(files, of, options), options, settings, report)


def share_pass(
    files: Address | Sequence[Address],
    of: Address,
    shard: Shard,
    *,
    options: PassOptions,
    settings: Settings,
    on_error: OnError,
) -> list[Share]:
    """Judges a shard's programs of files of samples, and says what was done; raises what `pass_at` raises."""
    programs, _ = _read(files, of, options)
    several = [one for each in programs.values() for one in each]
    return [share_verdicts(os.fspath(of), several, shard, judging_of(options, settings), on_error)]


def judging_of(options: PassOptions, settings: Settings) -> Judging:
    """How programs are judged here. Raises PolicyError where no sandbox stands and none was waived."""
    way = chosen(options.sandbox, accept_unsandboxed=options.accept_unsandboxed)
    workers = granted_workers(settings.workers)
    return Judging(way, options.limits, open_store(settings.store), workers, settings.progress)


def _read(
    files: Address | Sequence[Address], of: Address, options: PassOptions
) -> tuple[dict[str, list[tuple[Problem, str]]], dict[str, Problem]]:
    """The programs of each file with their problems, and all problems."""
    if any(k < 1 for k in options.ks or ()):
        raise UsageError(f"k must be at least 1, got {min(options.ks or ())}")
    known = problems(of)
    programs = {
        path: [(known[one.problem], one.program(known[one.problem])) for one in samples(path, known)]
        for path in addresses(files)
    }
    return programs, known


def passes_of(
    programs: Programs, known: Mapping[str, Problem], options: PassOptions, settings: Settings, report: OnError
) -> Passes:
    """The same of programs that are at hand, by what made them; raises as `pass_at` does."""
    how = judging_of(options, settings)
    way = how.way
    found = judged([one for several in programs.values() for one in several], how, report)
    rows: list[PassAtKRow] = []
    tallies: dict[str, list[Tally]] = {}
    for path, several in programs.items():
        tallies[path], verdicts = _counted(several, found)
        if tallies[path]:
            ks = options.ks or _fitting(tallies[path])
            rows += rows_of(path, tallies[path], ks, verdicts, way.name)
    pairs = _pairs(tallies, options.ks or KS)
    notes = (*_ended(rows), *_notes(known, tallies, way.name))
    provenance = {"kaibo": __version__, "sandbox": way.name, "limits": options.limits.key}
    listed = tuple((path, tally) for path, several in tallies.items() for tally in several)
    curves = Finding(PASS_CURVES, tuple(_curves(tallies)), (), provenance)
    return Passes(Finding(PASS_AT_K, tuple(rows), notes, provenance), Finding(PASS_PAIRS, pairs), curves, listed)


def _counted(
    several: Sequence[tuple[Problem, str]], found: Mapping[tuple[str, str], Judged]
) -> tuple[list[Tally], dict[str, int]]:
    """How many samples of each problem passed, and how many ended in which way."""
    ended: dict[str, Counter[str]] = {}
    for problem, program in several:
        verdict = found.get((problem.hash, code_hash(program)))
        if verdict is not None:
            ended.setdefault(problem.name, Counter())[verdict.verdict] += 1
    total: Counter[str] = sum(ended.values(), Counter())
    return (
        [Tally(name, counts.total(), counts["passed"]) for name, counts in ended.items()],
        {verdict: total[verdict] for verdict in VERDICTS},
    )


def _fitting(tallies: Sequence[Tally]) -> list[int]:
    fewest = min(tally.n for tally in tallies)
    return [k for k in KS if k <= fewest]


def _pairs(tallies: Mapping[str, Sequence[Tally]], ks: Sequence[int]) -> tuple[PassPair, ...]:
    named = [(path, several) for path, several in tallies.items() if several]
    both = [(one, other) for place, one in enumerate(named) for other in named[place + 1 :]]
    return tuple(row for one, other in both for row in pairs_of(one, other, ks))


def _ended(rows: Sequence[PassAtKRow]) -> list[Note]:
    """How the samples of each file ended, a line each."""
    told = {row.model: ", ".join(f"{name} {count:,}" for name, count in row.verdicts.items() if count) for row in rows}
    return [about(model, counts) for model, counts in told.items()]


def _notes(known: Mapping[str, Problem], tallies: Mapping[str, Sequence[Tally]], sandbox: str) -> list[Note]:
    notes = [
        about(path, note("samples_missing", count=len(known) - len(several), all=len(known)))
        for path, several in tallies.items()
        if len(several) < len(known)
    ]
    if sandbox == "none":
        notes.append(note("no_sandbox"))
    return notes


def _curves(tallies: Mapping[str, Sequence[Tally]]) -> list[PassRow]:
    """Our curves over k, and the published ones of the same benchmark below them."""
    rows: list[PassRow] = []
    for path, several in tallies.items():
        if not several:
            continue
        fewest, benchmark = min(tally.n for tally in several), _benchmark(several)
        values = {k: _mean(several, k) for k in (*CURVE, fewest) if k <= fewest}
        name = Path(path).stem
        for k, value in sorted(values.items()):
            rows.append(
                PassRow(name, name, None, benchmark, k, value, None, None, len(several), 1 - (1 - values[1]) ** k)
            )
    benchmarks = {row.benchmark for row in rows}
    published = pass_curves("code-generation").rows if benchmarks & set(PUBLISHED.values()) else ()
    return [*rows, *(row for row in published if row.benchmark in benchmarks)]


def _mean(tallies: Sequence[Tally], k: int) -> float:
    return sum(pass_at_k(tally.n, tally.passed, k) for tally in tallies) / len(tallies)


def _benchmark(tallies: Sequence[Tally]) -> str:
    first = tallies[0].problem
    named = next((name for begin, name in PUBLISHED.items() if first.startswith(begin)), None)
    return named or ("MBPP" if first.isdecimal() else "samples")
