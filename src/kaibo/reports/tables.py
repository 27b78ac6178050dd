"""Findings as tables: every column at full precision as CSV, or the columns that people read as Markdown and LaTeX."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kaibo.errors import escaped
from kaibo.figures.words import heading, note, word
from kaibo.figures.words.catalogue import catalogue
from kaibo.vocabulary import Finding, shown

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
NEGATIVE = re.compile(r"-\d[\d,]*(\.\d+)?([eE][+-]?\d+)?\Z")

READ: Mapping[str, tuple[str, ...]] = {
    "inspect": (
        *("model", "family", "parameters", "layers", "hidden", "attention", "heads", "kv_heads", "head_size"),
        *("context", "vocabulary", "kv_bytes_per_token"),
    ),
    "digits": (
        "model",
        "by",
        "key",
        "n",
        "zeros",
        "mae",
        "mae_low",
        "mae_high",
        "conformity",
        "gaussian_mae",
        "mixture_mae",
        "kl",
        "cramers_v",
    ),
    "stats": (
        *("model", "by", "key", "n", "mean", "std", "skew", "kurtosis", "l1", "l2", "max", "zeros", "nonfinite"),
        *("beyond6", "gaussian6", "entropy", "grid"),
    ),
    "diff": (
        *("base", "tuned", "by", "key", "n", "l0", "l1", "l2", "linf", "relative", "cosine", "changed", "one_ulp"),
        *("times_resolution", "rounding_l2", "mae", "nonfinite"),
    ),
    "spectrum": (
        *("model", "by", "key", "shape", "method", "spectral_norm", "stable_rank", "entropy_rank", "rank90", "rank99"),
        *("alpha", "alpha_error", "alpha_distance", "gaussian_norm", "gaussian_stable_rank", "above"),
    ),
    "spectrum-levels": (
        *("model", "by", "key", "matrices", "spectral_norm", "stable_rank", "entropy_rank", "rank90", "rank99"),
        *("alpha", "above"),
    ),
    "spectrum-tails": ("model", "tensor", "alpha", "distance", "start", "tail_share", "edge"),
    "diff-spectrum": (
        *("tuned", "key", "shape", "method", "said", "energy", "gap", "rest", "noise", "spectral_norm"),
        *("stable_rank", "entropy_rank", "rank90", "rank99", "alpha"),
    ),
    "series-checkpoints": (
        *("name", "step", "norm", "from_start", "to_end", "step_length", "cosine", "rate", "mae", "nonfinite"),
    ),
    "series-audit": ("kind", "checkpoints", "evidence"),
    "norm-curve": ("base", "tuned", "scope", "percent", "kept", "l1", "l2", "l1_share", "l2_share"),
    "train": ("run", "kind", "base", "method", "data", "steps", "loss_first", "loss_last", "seconds", "how", "out"),
    "runs": ("run", "kind", "base", "method", "data", "steps", "loss_last", "seconds", "out", "there"),
    "train --plan": (
        *("run", "method", "device", "length", "weights", "adapter", "gradients", "optimiser", "activations", "logits"),
        *("total", "memory", "fits", "seconds", "advice"),
    ),
    "probe": ("model", "asked", "language", "stopped", "repeated", "leaked", "empty", "answers", "faults"),
    "adapters": ("tuned", "by", "key", "adapter", "tensors", "rank", "lowest", "parameters", "l2", "streamed"),
    "storing": ("tuned", "by", "key", "grid", "n", "moved", "deleted", "relative_error", "base_error"),
    "overlaps": (
        *("a", "b", "by", "key", "tensors", "outputs", "outputs_by_chance", "inputs", "inputs_by_chance"),
        *("closest_outputs", "closest_inputs"),
    ),
    "quantised": ("tuned", "by", "key", "grid", "n", "rounding_l1", "rounding_l2", "l1", "l2", "times_l1", "times_l2"),
    "trimmed": (
        *("tuned", "by", "key", "percent", "scope", "ties", "of", "d", "kept", "kept_high"),
        *("threshold", "l1", "l2"),
    ),
    "conflicts": ("by", "key", "n", "touched", "conflict", "tied_votes", "kept", "elected"),
    "conflict-map": ("layer", "role", "n", "touched", "conflict", "tied_votes", "kept", "elected"),
    "pairs": ("a", "b", "by", "key", "n", "l1", "l2", "linf", "mae", "cosine", "sign_conflict", "sign_conflict_moved"),
    "conflict": ("by", "key", "n", "moved_by_any", "conflicting", "conflict", "conflict_moved"),
    "order": ("place", "model", "joins", "nearest", "apart"),
    "seeds": (
        *("distance_norm", "models", "datasets", "within_pairs", "between_pairs", "within", "between", "ratio"),
        *("ratio_low", "ratio_high", "p", "relabellings"),
    ),
    "norms": (*("vector", "n", "l1", "l2", "holds", "l1_most", "times", "l1_step", "square_step", "needed"),),
    "fine-tunes": (
        *("cell", "against", "dataset", "seed", "l1", "l2", "linf", "relative", "resolution_l1", "resolution_l2"),
        *("bf16_l1", "bf16_l2", "times_bf16"),
    ),
    "fine-tune-pairs": (*("cell", "apart_by", "dataset", "seed", "l1", "l2", "bf16_l2", "cosine", "sign_conflict"),),
    "fine-tune-ratios": (
        *("cell", "role", "distance_norm", "within", "between", "ratio", "ratio_low", "ratio_high", "p"),
        *("tensors_low", "tensors_high", "spread"),
    ),
    "fine-tune-methods": (
        *(
            "a",
            "b",
            "learning_rate",
            "pairs",
            "ratio",
            "ratio_low",
            "ratio_high",
            "cosine",
            "cosine_low",
            "cosine_high",
        ),
        "sign_conflict",
    ),
    "fine-tune-kept": (
        *("cell", "scope", "percent", "models", "l1", "l2", "l1_share", "l1_share_low", "l1_share_high"),
        *("l2_share", "l2_share_low", "l2_share_high"),
    ),
    "fine-tune-ranks": (
        *("cell", "role", "matrices", "erank", "erank_low", "erank_high", "stable_rank", "above_rounding", "full_rank"),
    ),
    "norm-ways": (
        *("pair", "how", "l1", "l2", "l1_error", "l2_error", "quotient", "root", "times", "holds"),
        *("l1_step", "square_step"),
    ),
    "norm-sizes": ("pair", "how", "factor", "mean_absolute", "l1", "l2", "times", "holds"),
    "unmatched": ("tuned", "side", "tensor", "shape", "n", "share", "reason"),
    "changes": ("tuned", "what", "before", "after"),
    "rescale": (
        *("model", "towards", "mae_before", "mae", "gaussian_mae", "mixture_mae", "channels", "scaled"),
        *("kept_back", "reached", "exponent_low", "exponent_high"),
    ),
    "tour": ("stop", "formula", "difference", "holds", "source"),
    "quantise": ("model", "width", "weight_bytes", "tokens", "ppl", "cost", "cost_low", "cost_high", "seconds"),
    "nursery": (
        *("run", "kind", "base", "data", "seed", "learning_rate", "steps", "tokens", "loss_first", "loss_last"),
        *("seconds", "how"),
    ),
    "samples": ("run", "step", "prompt", "text"),
    "ablation": (
        *("part", "choice", "parameters", "seeds", "loss", "loss_low", "loss_high", "beyond", "tokens_per_second"),
        *("kv_bytes_per_token", "mae", "mae_low", "mae_high"),
    ),
    "claims": ("verdict", "claim", "reported", "ours", "low", "high", "n", "scale", "why"),
    "score": (
        *("model", "step", "text", "tokens", "nats", "ppl", "ppl_low", "ppl_high", "bits_per_byte"),
        *("bits_per_byte_low", "bits_per_byte_high", "unigram_ppl", "uniform_ppl"),
    ),
    "trajectories": (
        *("benchmark", "checkpoints", "best", "r2_perplexity", "r2_flops", "r2_size", "gain", "gain_null", "gain_p"),
        *("linearity", "breakthroughness"),
    ),
    "trajectory-shapes": (
        *("benchmark", "over", "run", "linearity", "linearity_low", "linearity_high", "linearity_null"),
        *("breakthroughness", "breakthroughness_low", "breakthroughness_high", "breakthroughness_null"),
    ),
    "trajectory-crossings": ("benchmark", "small", "large", "lead", "lead_errors", "flops", "still_leads"),
    "trends": (
        *("model", "beginning", "checkpoints", "tokens", "upward", "downward", "stagnated", "undecided"),
        *("not_up_not_down", "step", "ppl", "last_ppl", "rho"),
    ),
    "trends-followed": (
        *("set_of", "trend", "tokens", "model", "step", "text_ppl", "ppl", "ppl_low", "ppl_high", "rest_ppl"),
    ),
    "trends-containment": (
        *("trend", "set_of", "inside", "tokens", "tokens_within", "both", "contained"),
        *("contained_low", "contained_high", "by_chance", "chance_high", "p"),
    ),
    "trends-descent": (
        *("set_of", "tokens", "model", "own", "found", "bump", "null", "q", "rise", "fall"),
        *("low_step", "peak_step", "peak_from", "peak_to", "end_step"),
    ),
    "trends-size": ("set_of", "trend", "n", "r2_without", "r2_with", "gain", "statistic", "p"),
    "trends-passages": ("model", "passage", "place", "text", "trend", "uncorrected", "slope", "p", "q", "ratio"),
    "eval": (
        *("model", "step", "task", "shots", "metric", "value", "stderr", "value_low", "value_high", "chance", "p"),
        *("questions", "failed", "variants_low", "variants_high", "variants_std"),
    ),
    "eval-pairs": (
        *("a", "b", "task", "metric", "difference", "difference_low", "difference_high", "only_a", "only_b"),
        *("mcnemar_p", "q", "questions"),
    ),
    "decode": ("sequence", "combine", "prompt", "text", "tokens", "ended", "mass"),
    "inverse-scaling": (
        *("sequence", "text", "tokens", "mean_nats", "rise", "rise_low", "rise_high", "q", "kendall", "inverse"),
    ),
    "corrupt": (
        *("model", "step", "share", "mode", "unit", "tokens", "replaced", "ppl", "ppl_low", "ppl_high", "floor"),
        *("clean_ppl", "replaced_ppl", "kept_ppl"),
    ),
    "against": ("benchmark", "model", "series", "x", "value", "leads", "needed_times"),
    "paired": (
        *("one", "other", "benchmark", "value_a", "value_b", "difference", "difference_low", "difference_high"),
        *("questions", "p", "q"),
    ),
    "pass-curves": ("model", "benchmark", "k", "value", "low", "high", "alike", "problems"),
    "shares": ("label", "share", "share_low", "share_high", "amount", "amount_low", "amount_high"),
    "anatomy": (
        *("model", "family", "parameters", "layers", "hidden", "intermediate", "attention", "heads", "kv_heads"),
        *("head_size", "context", "vocabulary", "tied", "kv_bytes_per_token"),
    ),
    "anatomy-cache": (
        *("model", "attention", "heads", "kv_heads", "kv_bytes_per_token", "ungrouped", "saved", "context"),
        *("full", "ungrouped_full"),
    ),
    "formats": (
        *("model", "format", "ppl", "cost", "cost_error", "cost_low", "cost_high", "ppl_times", "worse"),
        *("chats", "tokens"),
    ),
    "profile": ("model", "layer", "role", "n", "std", "kurtosis", "mae"),
    "magnitudes": ("model", "exponent", "count", "share", "gaussian", "mixture"),
}
"""The columns that people read, by kind of finding; every column of a kind that is not listed."""


@dataclass(frozen=True)
class Table:
    """Columns by their names in JSON, and rows of plain values."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self.rows)


def full(finding: Finding[Any]) -> Table:
    """Every column, nested values opened: nine `shares` become `shares_1` … `shares_9`."""
    rows = [dict(_opened("", _fields(row))) for row in finding.rows]
    columns = tuple(dict.fromkeys(name for row in rows for name in row))
    return Table(columns, tuple(tuple(row.get(name) for name in columns) for row in rows))


def read(finding: Finding[Any]) -> Table:
    """The columns that people read; those that say the same in every row (one model, one level) are left out."""
    if not finding.rows:
        return Table((), ())
    names = READ.get(finding.kind) or tuple(name for name in _fields(finding.rows[0]) if name != "why")
    present = [name for name in names if hasattr(finding.rows[0], name)]
    columns = tuple(name for name in present if not _dull(finding.rows, name))
    return Table(columns, tuple(tuple(getattr(row, name) for name in columns) for row in finding.rows))


SAID = ("evidence", "reason", "said", "what", "how")
"""Columns of phrases that the word tables know in every language."""

KNOWN = ("one_ulp", "times_resolution", "rounding_l2")
"""Columns that tell something wherever they have a value, also zero."""

TELLING = ("low", "high", "model", "step", "base", "tuned", "by", "key", "nonfinite", "grid", *KNOWN)


def _dull(rows: tuple[Any, ...], name: str) -> bool:
    """A column that tells nothing: the one model, the one level, no part, no damage and no grid anywhere."""
    values = {getattr(row, name) for row in rows} if name in TELLING else set()
    if name in ("model", "base", "tuned"):
        return len(values) == 1 and len(rows) > 1
    return (name == "by" and len(values) == 1) or values == {None} or (name not in KNOWN and values == {0})


@dataclass(frozen=True)
class DigitShare:
    """One first digit of one row of a digits finding: what was counted, the law, and the two nulls, as fractions."""

    model: str
    key: str | int | None
    digit: int
    count: int
    share: float
    law: float
    gaussian: float | None
    mixture: float | None


def digit_shares(finding: Finding[Any]) -> Finding[DigitShare]:
    """A digits finding opened to a row per digit: the numbers that its figure draws."""
    rows = tuple(
        DigitShare(
            *(row.model, row.key, digit, row.counts[digit - 1], row.shares[digit - 1]),
            *(math.log10(1 + 1 / digit), *_at(row.gaussian_shares, digit), *_at(row.mixture_shares, digit)),
        )
        for row in finding.rows
        for digit in range(1, 10)
    )
    return Finding("digit-shares", rows)


def _at(shares: tuple[float, ...], digit: int) -> tuple[float | None]:
    return (shares[digit - 1] if shares else None,)


def _fields(record: Any) -> dict[str, Any]:
    return {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}


def _opened(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """(column, value) pairs; what is empty has none, a reason is one text; what only a figure draws is left out."""
    if name.rpartition("_")[2] in DRAWN and isinstance(value, tuple):
        return
    if name == "why":
        yield name, "; ".join(f"{key}: {reason}" for key, reason in value.items()) or None
    elif dataclasses.is_dataclass(value):
        yield from _opened(name, _fields(value))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _opened(f"{name}_{key}" if name else str(key), item)
    elif isinstance(value, tuple | list):
        yield from _opened_list(name, value)
    else:
        yield name, value


DRAWN = ("points", "curve")
"""Columns of many points, which are a table of their own: JSON and the figure have them."""


def _opened_list(name: str, values: tuple[Any, ...] | list[Any]) -> Iterator[tuple[str, Any]]:
    if all(isinstance(value, str) for value in values):
        yield name, "; ".join(values) or None
        return
    for place, value in enumerate(values, start=1):
        if dataclasses.is_dataclass(value):  # a quantile is known by its share, other records by their place
            fields = _fields(value)
            label = fields.pop("share", place)
            yield from _opened(f"{name}_{label}", fields)
        else:
            yield from _opened(f"{name}_{place}", value)


def csv_cell(value: Any) -> str:
    """A value as a CSV cell: numbers to the last bit, nothing for what is missing, and no text a spreadsheet runs.

    >>> csv_cell(-0.1), csv_cell("=1+1"), csv_cell("-1.5"), csv_cell("-x"), csv_cell(float("nan"))
    ('-0.1', "'=1+1", '-1.5', "'-x", '')
    """
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    text = str(value).encode("utf-8", "backslashreplace").decode("utf-8")
    return f"'{text}" if text.startswith(FORMULA) and not NEGATIVE.match(text) else text


def to_csv(finding: Finding[Any]) -> str:
    """Every column of a finding as CSV with the names of JSON, full precision, lines ended by a line feed."""
    table = full(finding)
    return "".join(",".join(map(_quoted, map(csv_cell, line))) + "\n" for line in (table.columns, *table.rows))


def _quoted(text: str) -> str:
    """By our own hand: the standard writer leaves a lone carriage return bare where lines end in a line feed."""
    return '"' + text.replace('"', '""') + '"' if any(mark in text for mark in ',"\r\n') else text


def cell(name: str, value: Any, language: str = "en") -> str:
    """A value as people read it: four digits, terms in their language, names from strangers spelled out."""
    if name == "key" and value is None:
        return word("terms.outside", language)  # whole models have no such column, only what is in no layer
    if name == "kind" and f"audit.{value}" in catalogue(language):
        return word(f"audit.{value}", language)
    if name in ("trend", "uncorrected") and f"trends.{value}" in catalogue(language):
        return word(f"trends.{value}", language)
    if name == "format" and f"formats.{value}" in catalogue(language):
        return word(f"formats.{value}", language)
    if name in ("best", "over") and f"trajectories.{value}_short" in catalogue(language):
        return word(f"trajectories.{value}_short", language)
    if name == "verdict":
        return word(f"study.{str(value).replace(' ', '_')}", language)
    if name == "why" and isinstance(value, Mapping):
        return "; ".join(escaped(note(str(reason), language), 1000) for reason in value.values())
    if name in SAID and isinstance(value, str):
        return escaped(note(value, language), 1000)
    if name == "shape" and isinstance(value, tuple | list):
        return "×".join(map(str, value)) or "1"
    if name in ("against", "apart_by") and f"fine_tunes.{value}" in catalogue(language):
        return word(f"fine_tunes.{value}", language)
    if name == "role" and value == "all":
        return word("terms.all", language)
    if name == "by":
        return word(f"page.by_{value}", language)
    if name in ("layer", "exponent", "key", "digit") and isinstance(value, int):
        return str(value)
    if name in ("conformity", "towards") and isinstance(value, str):
        return _term(value, language)
    if isinstance(value, bool):
        return word("terms.yes" if value else "terms.no", language)
    if isinstance(value, str):
        return escaped(value)
    return shown(value)


def _term(value: str, language: str) -> str:
    try:
        return word(f"terms.{value.split()[0]}", language)
    except (KeyError, IndexError):
        return escaped(value)


def to_markdown(finding: Finding[Any], language: str = "en") -> str:
    """The columns that people read as a Markdown table; nothing in a name becomes markup."""
    table = read(finding)
    head = [_markdown(heading(name, language)) for name in table.columns]
    rule = ["---:" if numeric(table, place) else "---" for place in range(len(head))]
    body = [
        [_markdown(cell(name, value, language)) for name, value in zip(table.columns, row, strict=True)]
        for row in table.rows
    ]
    return "".join(f"| {' | '.join(line)} |\n" for line in [head, rule, *body])


def numeric(table: Table, place: int) -> bool:
    """Whether all that is known of a column is numbers."""
    values = [row[place] for row in table.rows if row[place] is not None]
    return bool(values) and all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def _markdown(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]<>|#~$!&])", r"\\\1", text)


LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "σ": r"$\sigma$",
    "±": r"$\pm$",
    "−": r"$-$",
    "∞": r"$\infty$",
    "…": r"\ldots{}",
    **{character: f"\\{character}" for character in "{}$&#_%"},
}


def to_latex(finding: Finding[Any], language: str = "en") -> str:
    """The columns that people read as a LaTeX `tabular` (booktabs); Japanese wants LuaLaTeX or XeLaTeX."""
    table = read(finding)
    columns = "".join("r" if numeric(table, place) else "l" for place in range(len(table.columns)))
    lines = [" & ".join(_latex(heading(name, language)) for name in table.columns)]
    lines += [
        " & ".join(_latex(cell(name, value, language)) for name, value in zip(table.columns, row, strict=True))
        for row in table.rows
    ]
    head, *body = (f"{line} \\\\\n" for line in lines)
    return (
        f"\\begin{{tabular}}{{{columns}}}\n\\toprule\n{head}\\midrule\n{''.join(body)}\\bottomrule\n\\end{{tabular}}\n"
    )


def _latex(text: str) -> str:
    return "".join(LATEX.get(character, character) for character in text)
