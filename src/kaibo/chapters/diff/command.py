"""`kaibo diff`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

import typer

from kaibo.desk import options, outputs
from kaibo.desk.answering import Answer, answering
from kaibo.desk.groups import grouped
from kaibo.desk.sharing import Sharing

Base = Annotated[str, typer.Argument(metavar="BASE", help="The starting model: a folder, a file, or hf:org/name.")]
Tuned = Annotated[list[str], typer.Argument(metavar="TUNED…", help="Models made from it.")]
Top = Annotated[str, typer.Option("--top", metavar="PERCENTS", help="Norms of the largest n % of the changes, a list.")]
Of = Annotated[str, typer.Option("--of", metavar="all|linear|changed", help="Which values the percents are of.")]
Exact = Annotated[
    bool, typer.Option("--exact/--bounds", help="Resolve thresholds by a second pass, or print their bounds.")
]

Groups = Annotated[
    list[str] | None,
    typer.Option(
        "--group",
        metavar="LABELS",
        help="dataset=D0,seed=42 for each TUNED in order, or ADDRESS:dataset=D0,seed=42. Is it more than the seed?",
    ),
]
Drawing = Annotated[
    Literal["curve", "map", "distances", "spectrum"] | None,
    typer.Option("--draw", metavar="WHAT", help="What --figure draws: curve, map, distances or spectrum."),
]
Quantised = Annotated[
    str | None,
    typer.Option("--quantised", metavar="GRIDS", help="Also the changes against rounding the base: nf4, int8."),
]
Storing = Annotated[
    str, typer.Option("--storing", metavar="GRIDS", help="Of adapters: what storing does, on bf16, f16, nf4, int8.")
]
Spectrum = Annotated[bool, typer.Option("--spectrum", help="Also the singular values of each change: its rank.")]


@dataclass(frozen=True)
class Largest:
    """Of which share of the changes norms are given."""

    top: Top = "20"
    of: Of = "all"
    exact: Exact = True


@dataclass(frozen=True)
class Further:
    """What else is measured, each by a pass of its own that keeps little or nothing in the store."""

    quantised: Quantised = None
    storing: Storing = "bf16,nf4"
    spectrum: Spectrum = False


@grouped
def command(
    base: Base,
    tuned: Tuned,
    by: options.Level = "model",
    group: Groups = None,
    draw: Drawing = None,
    *,
    largest: Largest,
    further: Further,
    given: options.Output,
    out: outputs.Out = None,
    reading: options.Reading,
    sharing: Sharing,
) -> None:
    """What changed between a base and the models made from it: settings first, then the weights, exactly.

    Tensors are paired by name, tables by token; what has no counterpart is listed. Differences are formed in
    float32 and counted; nothing that the store knows is read again.
    """
    from kaibo.chapters.diff.ask import DiffOptions, diff, share_diff
    from kaibo.chapters.diff.ask_adapters import adapters_of, check_grids
    from kaibo.chapters.diff.labelling import labelled
    from kaibo.collect import progress_bar
    from kaibo.desk.addresses import addresses

    with answering("diff", as_json=given.json) as answer, progress_bar() as progress:
        settings = reading.settings(progress)
        report: Any = answer.errors.append
        level: Any = by
        grids = _listed(further.storing), _listed(further.quantised)
        check_grids(*grids)
        labels = labelled(group or [], addresses(tuned))
        chosen = DiffOptions(_percents(largest.top), largest.of, largest.exact, labels)
        left = ["--spectrum"] * further.spectrum + ["--quantised"] * bool(grids[1])

        def share(shard: Any) -> Any:
            shares = share_diff(base, tuned, shard, options=chosen, settings=settings, on_error=report)
            left.extend(["--exact"] * (largest.exact and all(one.unit != "thresholds" for one in shares)))
            return shares

        if sharing.done(answer, share, settings, left, given.language, twice=largest.exact):
            return
        found = diff(base, tuned, level, options=chosen, settings=settings, on_error=report)
        grid: dict[str, Any] = {"storing": grids[0], "quantised": grids[1], "settings": settings}
        others = adapters_of(found.compared, level, **grid, on_error=_once(answer))
        lost = what_was_lost(answer, found.compared, level, settings)
        spectra = (
            measured_spectrum(answer, found.compared, settings) if further.spectrum or draw == "spectrum" else None
        )
        given.give(answer, found.norms, _drawn(found, draw, by, spectra))
        if out is not None:
            several = (found.trimmed, *others.findings, lost, found.pairs, found.conflict, found.order, found.seeds)
            several += () if spectra is None else (spectra,)
            _write(outputs.Folder(out, "", given.language, given.force), found, several)
        if not found.norms.rows and not answer.errors:
            answer.warnings.append("no tensor of the models meets one of the base: nothing was compared")
        answer.lists |= _lists(found, (*others.findings, lost), by)
        shown = _tables(found, (*others.findings, lost), spectra)
        answer.show = lambda: _show(shown, given.language)


def _lists(found: Any, others: Sequence[Any], by: str) -> dict[str, Any]:
    """What JSON has beside the norms."""
    return {
        "changes": found.changes.records(),
        "pairs": found.pairs.records(),
        **({} if by == "model" else {"pairs_by": found.pairs_by.records()}),
        "curve": found.curve.records(),
        "conflict": found.conflict.records(),
        "order": found.order.records(),
        "seeds": found.seeds.records(),
        "unmatched": found.unmatched.records(),
        **{finding.kind.name: finding.records() for finding in others if finding.rows},
        "mapping": found.mapping.records(),
        "coverage": found.coverage.records(),
    }


def _tables(found: Any, others: Sequence[Any], spectra: Any) -> tuple[Any, ...]:
    """What a terminal shows, in order."""
    several = found.pairs, found.conflict, found.order, found.seeds
    last = () if spectra is None else (spectra,)
    return (found.changes, found.norms, found.trimmed, *others, *several, found.unmatched, *last)


def _write(folder: outputs.Folder, found: Any, others: Sequence[Any]) -> None:
    from kaibo.figures.names import model_name

    named = dict.fromkeys(model_name(row.tuned) for row in found.norms.rows)
    outputs.write_differences(replace(folder, title=", ".join(named)), found, others)


def _percents(text: str) -> tuple[float, ...]:
    from kaibo.errors import UsageError

    try:
        percents = tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError:
        percents = ()
    if not percents:
        raise UsageError(f"--top {text} is no list of percents", next="write --top 20 or --top 5,20")
    return percents


DRAWINGS = ("curve", "map", "distances", "spectrum")


def _drawn(found: Any, draw: str | None, by: str, spectra: Any) -> Any:
    """What was asked for; else the norm@k curve of whole models, and where the change is at the other levels."""
    drawings = dict(zip(DRAWINGS, (found.curve, found.depth, found.distances, spectra), strict=True))
    return drawings[draw or ("curve" if by == "model" else "map")]


def _once(answer: Answer) -> Any:
    """Takes errors that were not told yet."""
    return lambda error: answer.errors.append(error) if error.line not in {e.line for e in answer.errors} else None


def _listed(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())


def _show(findings: Sequence[Any], language: str) -> None:
    """What differs beside the weights, the norms, adapters, the distances between several, what was left out."""
    from kaibo.reports.terminal import console, show

    out = console()
    for finding in findings:
        if finding.rows:
            show(finding, to=out, language=language)
            out.print()


def what_was_lost(answer: Answer, compared: Iterable[Any], level: Any, settings: Any) -> Any:
    """What quantising lost of those that were compared whose weights are packed: one more pass over them."""
    from kaibo.chapters.quantise.loss import losses, lost

    options = settings.forming()
    found = [
        (one.base.model.address, one.tuned.model.address, loss)
        for one in compared
        for loss in losses(one.pairing, options)
    ]
    finding = lost(found, level)
    answer.warnings += finding.notes if answer.json else ()
    return finding


def measured_spectrum(answer: Answer, compared: Iterable[Any], settings: Any) -> Any:
    """The spectra of the changes of models that were compared, a list of their own in JSON (`spectra`).

    What was already said to be unreadable is not said again.
    """
    from kaibo.chapters.diff.ask_spectrum import spectra_of

    known = {error.line for error in answer.errors}

    def report(error: Any) -> None:
        if error.line not in known:
            answer.errors.append(error)

    found = spectra_of(compared, settings=settings, on_error=report)
    answer.lists["spectra"] = [
        {**record, "said": row.said} for row, record in zip(found.rows, found.records(), strict=True)
    ]
    answer.warnings += found.notes if answer.json and found.rows else ()
    return found
