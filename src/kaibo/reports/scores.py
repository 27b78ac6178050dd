"""Findings of the table side on a terminal: a few small tables each, numbers beside their uncertainty."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kaibo.errors import escaped
from kaibo.reports.plain import show_table
from kaibo.vocabulary import Finding
from kaibo.words import said

if TYPE_CHECKING:
    from rich.console import Console

MOST = 40
Block = tuple[str, Sequence[str], Sequence[Sequence[Any]]]
"""A heading, columns and rows."""


def show_scores(finding: Finding[Any], *, to: Console | None = None, language: str = "en") -> None:
    """Prints a finding of `table`, `pca`, `law`, `forecast`, `select`, `correlate`, `measures` or `trajectories`."""
    from kaibo.reports.terminal import console

    out = console() if to is None else to
    for heading, columns, rows in BLOCKS[str(finding.kind)](finding):
        if heading:
            out.print(heading, style="bold", markup=False)
        show_table(columns, rows[:MOST], to=out)
        if len(rows) > MOST:
            out.print(f"… {len(rows)} rows in all; --json or --table has them", style="dim", markup=False)
        out.print("")
    for text in finding.notes:
        out.print(escaped(said(text, language), 2000), style="dim", markup=False)


def _between(pair: Sequence[float] | None) -> str:
    return "-" if pair is None else f"{pair[0]:.3g} … {pair[1]:.3g}"


def _both(low: float | None, high: float | None) -> tuple[float, float] | None:
    return None if low is None or high is None else (low, high)


def _number(value: float | None) -> str:
    return "-" if value is None or value != value else f"{value:.4g}"


def _error(value: float | None) -> str:
    return "-" if value is None else f"{value:.3e}"


def _table(finding: Finding[Any]) -> Iterator[Block]:
    for row in finding:
        facts = ", ".join(f"{name} {count}" for name, count in row.known.items()) or "-"
        yield row.name, ("what", "how many"), (
            ("models", len(row.models)), ("benchmarks", len(row.benchmarks)), ("missing cells", row.missing),
            ("families", row.families), ("known of models", facts),
        )  # fmt: skip
        if row.missing_by_benchmark:
            yield "missing by benchmark", ("benchmark", "missing"), tuple(row.missing_by_benchmark.items())
        if row.missing_by_model:
            yield "missing by model", ("model", "missing"), tuple(row.missing_by_model.items())
        if row.average_of:
            said = [
                (
                    one.benchmark,
                    ", ".join(one.members) if len(one.members) <= 6 else f"{len(one.members)} columns",
                    one.residual,
                )
                for one in row.average_of
            ]
            yield "columns that are averages of others", ("column", "of", "off by at most"), said
        if row.near_duplicates:
            yield "columns that say nearly the same", ("one", "other", "r"), row.near_duplicates
        odd = [(name, "constant") for name in row.constant] + [(name, "empty") for name in row.empty]
        if odd:
            yield "columns that say nothing", ("column", "why"), odd
        if row.renamed:
            yield "joined though written differently", ("one", "other"), row.renamed
        if row.unmatched:
            yield "in one table only", ("model",), [(name,) for name in row.unmatched]


def _pca(finding: Finding[Any]) -> Iterator[Block]:
    for row in finding:
        if not row.explained:
            yield "", ("what", "why"), tuple(row.why.items())
            continue
        parts = zip(row.explained, row.explained_interval, row.explained_interval_models, row.parallel, strict=True)
        size = f"{len(row.models)} models, {len(row.benchmarks)} benchmarks, {100 * row.missing_share:.2f} % missing"
        yield (
            f"explained variance ({size})",
            ("component", "explained", "95 % over families", "95 % over models", "permuted columns 95 %", "real"),
            [
                (f"PC{k}", f"{e:.4f}", _between(a), _between(b), f"{p:.4f}", k <= row.kept_components)
                for k, (e, a, b, p) in enumerate(parts, 1)
            ],
        )
        count = len(row.explained)
        yield (
            "loadings (PC1 with its 95 % interval over families)",
            ("benchmark", *(f"PC{k + 1}" for k in range(count)), "PC1 interval"),
            [
                (name, *(f"{v:.3f}" for v in values), _between(row.loadings_interval[name][0]))
                for name, values in row.loadings.items()
            ],
        )
        if row.family_lines:
            lines = [(one.family, one.n, f"{one.slope:.3f}", f"{one.r2:.4f}") for one in row.family_lines if one.n >= 3]
            yield (
                f"PC1 against log10 FLOPs by family (mean R² {_number(row.mean_family_r2)})",
                ("family", "n", "slope", "R²"),
                lines,
            )
        if row.imputed:
            yield "missing cells that were filled, and how far they move the answer", (
                "model", "benchmark", "value", "moved over", "explained ±", "loading ±", "its score ±",
            ), [
                (*(c.model, c.benchmark, c.value, _between((c.low, c.high))), *_shifts(c)) for c in row.imputed
            ]  # fmt: skip


def _shifts(cell: Any) -> tuple[float, float, float]:
    return cell.explained_shift, cell.loading_shift, cell.score_shift


def _parameters(row: Any, name: str) -> str:
    known = row.intervals[name]
    return "; ".join(f"{key} {value:.4g} ({_between(known[key])})" for key, value in row.parameters[name].items())


def _law(finding: Finding[Any]) -> Iterator[Block]:
    for row in finding:
        names = list(row.train_mse)
        yield (
            f"{row.target}: {row.form}, {row.loss}; {row.split} ({row.n_train} train, {row.n_test} test)",
            ("predictor", "train MSE", "test MSE", "parameters (95 %)"),
            [(name, _error(row.train_mse[name]), _error(row.test_mse[name]), _parameters(row, name)) for name in names],
        )
        if row.cross_validated:
            errors = [(f"PC{k}", f"{error:.3e}") for k, error in enumerate(row.cross_validated, 1)]
            yield (
                f"cross-validation over families chose {row.chosen} (nested error {_number(row.nested_error)})",
                ("components", "error"),
                errors,
            )
        if row.comparisons:
            yield "test error of the chosen law less that of another (paired bootstrap over families)", (
                "law", "against", "difference", "95 %", "better in",
            ), [
                (c.first, c.second, c.difference, _between((c.low, c.high)), f"{100 * c.share:.1f} %")
                for c in row.comparisons
            ]  # fmt: skip
        if row.raw:
            yield (
                f"the law {row.chosen} on the benchmarks themselves, inside σ",
                ("benchmark", "weight"),
                tuple(row.raw.items()),
            )
        covered = "-" if row.coverage is None else f"{100 * row.coverage:.0f} %"
        yield f"models under {row.chosen} (tested models inside their 95 % interval: {covered})", (
            "model", "train", "observed", "predicted", "95 %", "residual", "equivalent FLOPs",
        ), [
            (r.model, r.train, r.observed, r.predicted, _between((r.low, r.high)), r.residual, r.equivalent_flops)
            for r in sorted(row.residuals, key=lambda one: -abs(one.residual))
        ]  # fmt: skip


def _forecast(finding: Finding[Any]) -> Iterator[Block]:
    yield (
        "",
        ("model", "target", "from", "value", "95 %", "extrapolated"),
        [
            (row.model, row.target, row.predictor, row.value, _between((row.low, row.high)), row.extrapolated)
            for row in finding
        ],
    )


def _select(finding: Finding[Any]) -> Iterator[Block]:
    yield (
        "",
        ("budget", "value", "exact", "gap", "cost", "families"),
        [(row.budget, f"{row.value:.2f}", row.exact, row.gap, row.cost, ", ".join(row.families)) for row in finding],
    )


def _correlate(finding: Finding[Any]) -> Iterator[Block]:
    columns = ("x", "y", "n", "Pearson r", "95 %", "p", "permutation p", "q", "Spearman", "Kendall", "needed")
    yield "", columns, [
        (
            row.x, row.y, row.n, _number(row.pearson), _between((row.low, row.high)), _number(row.p),
            _number(row.permutation_p), row.q, _number(row.spearman), _number(row.kendall), row.needed,
        )
        for row in finding
    ]  # fmt: skip
    if len(finding.rows) == 1:
        row = finding.rows[0]
        if row.partial:
            one = row.partial
            yield (
                f"given {row.given}",
                ("r", "95 %", "p", "permutation p"),
                [(one.r, _between((one.low, one.high)), one.p, one.permutation_p)],
            )
        if row.influence:
            yield (
                "without one model",
                ("model", "r", "moves by"),
                [(i.model, i.pearson, i.shift) for i in row.influence[:10]],
            )
        yield "", ("model", row.x, row.y), [(p.model, p.x, p.y) for p in row.points]
        if row.needed:
            yield (
                "",
                ("in words",),
                [(f"about {row.needed} models would be needed to see r = {row.pearson:.2f} at 80 % power",)],
            )


def _measures(finding: Finding[Any]) -> Iterator[Block]:
    yield "", ("measure", "models", "meaning"), [(f"store:{row.name}", row.models, row.meaning) for row in finding]


def _trajectories(finding: Finding[Any]) -> Iterator[Block]:
    against = list(dict.fromkeys(one.against for row in finding for one in row.explained))
    body = []
    for row in finding:
        r2 = {one.against: one for one in row.explained}
        cells = [f"{r2[name].r2:.3f} / {r2[name].r2_left_out:.3f}" if name in r2 else "-" for name in against]
        body.append((row.benchmark, row.n, *cells, row.best))
    yield (
        "R² of a smooth curve / predicting left-out sizes (size: left-out steps)",
        ("score", "n", *against, "best"),
        body,
    )
    adds = [(row.benchmark, row.size_adds) for row in finding if row.size_adds]
    if adds:
        yield (
            "what size adds given perplexity",
            ("score", "LR", "p", "q", "R² without", "R² with", "gain", "gain by noise, 95 %", "p of gain"),
            [
                (
                    name,
                    one.statistic,
                    one.p,
                    one.q,
                    one.r2_without,
                    one.r2_with,
                    f"{one.gain:+.4f}",
                    _number(one.gain_null),
                    _number(one.gain_p),
                )
                for name, one in adds
            ],
        )
    yield (
        "BIG-bench shapes over sizes at the last step, and over the FLOPs of each run (95 %; null of flat scores)",
        ("score", "over", "linearity", "95 %", "null", "breakthroughness", "95 %", "null"),
        [
            (row.benchmark, one.run or one.over, _number(one.linearity),
             _between(_both(one.linearity_low, one.linearity_high)), _number(one.linearity_null),
             _number(one.breakthroughness), _between(_both(one.breakthroughness_low, one.breakthroughness_high)),
             _number(one.breakthroughness_null))
            for row in finding for one in row.shapes
        ],
    )  # fmt: skip
    crossed = [(row.benchmark, c) for row in finding for c in row.crossings if c.flops is not None or c.still_leads]
    if crossed:
        yield (
            "where small models lead",
            ("score", "smaller", "larger", "until FLOPs", "lead", "in standard errors"),
            [
                (name, c.small, c.large, "the end" if c.still_leads else f"{c.flops:.2e}", c.lead, c.lead_errors)
                for name, c in crossed
            ],
        )


BLOCKS: Mapping[str, Callable[[Finding[Any]], Iterator[Block]]] = {
    "table": _table,
    "pca": _pca,
    "law": _law,
    "forecast": _forecast,
    "select": _select,
    "correlate": _correlate,
    "measures": _measures,
    "trajectories": _trajectories,
}
