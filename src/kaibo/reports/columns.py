"""Which columns of a finding people read, by its kind; JSON and CSV have them all."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

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
        *("ratio_low", "ratio_high", "p", "p_least", "relabellings"),
    ),
    "norms": (*("vector", "n", "l1", "l2", "possible", "l1_most", "times", "l1_step", "square_step", "needed"),),
    "fine-tunes": (
        *("cell", "against", "dataset", "seed", "l1", "l2", "linf", "relative", "resolution_l1", "resolution_l2"),
        *("bf16_l1", "bf16_l2", "times_bf16"),
    ),
    "fine-tune-pairs": (*("cell", "apart_by", "dataset", "seed", "l1", "l2", "bf16_l2", "cosine", "sign_conflict"),),
    "fine-tune-ratios": (
        *("cell", "role", "distance_norm", "within", "between", "ratio", "ratio_low", "ratio_high", "p", "p_least"),
        *("tensors_low", "tensors_high", "spread"),
    ),
    "fine-tune-methods": (
        *("a", "b", "learning_rate", "pairs", "ratio", "ratio_low", "ratio_high", "cosine", "cosine_low"),
        *("cosine_high", "sign_conflict"),
    ),
    "fine-tune-kept": (
        *("cell", "scope", "percent", "models", "l1", "l2", "l1_share", "l1_share_low", "l1_share_high"),
        *("l2_share", "l2_share_low", "l2_share_high"),
    ),
    "fine-tune-ranks": (
        *("cell", "role", "matrices", "erank", "erank_low", "erank_high", "stable_rank", "above_rounding", "full_rank"),
    ),
    "norm-ways": (
        *("pair", "way", "l1", "l2", "l1_error", "l2_error", "quotient", "root", "times", "holds"),
        *("l1_step", "square_step"),
    ),
    "norm-sizes": ("pair", "way", "factor", "mean_absolute", "l1", "l2", "times", "holds"),
    "unmatched": ("tuned", "side", "tensor", "shape", "n", "share", "reason"),
    "changes": ("tuned", "what", "before", "after"),
    "rescale": (
        *("model", "towards", "mae_before", "mae", "gaussian_mae", "mixture_mae", "channels", "scaled"),
        *("kept_back", "reached", "exponent_low", "exponent_high"),
    ),
    "digit-groups": ("group", "label", "n", "mae", "mae_low", "mae_high", "gaussian_mae", "mixture_mae"),
    "digit-course": ("label", "step", "mae", "mae_low", "mae_high", "gaussian_mae", "mixture_mae"),
    "law-trial": (
        *("variant", "mae", "mae_rescaled", "error", "ppl", "ppl_low", "ppl_high"),
        *("beside", "beside_low", "beside_high", "same"),
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
    "trends-pairs": (
        *("small", "large", "step_small", "step_large", "ppl_small", "ppl_large", "r", "r_low", "r_high", "r_null"),
        *("r_same_step", "r_neighbour", "r_neighbour_low", "r_neighbour_high", "apart"),
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

KNOWN = ("one_ulp", "times_resolution", "rounding_l2")
"""Columns that tell something wherever they have a value, also zero."""

TELLING = ("low", "high", "model", "step", "base", "tuned", "by", "key", "nonfinite", "grid", *KNOWN)


def columns_read(kind: str, rows: Sequence[Any]) -> tuple[str, ...]:
    """The columns of these rows that people read; those that say the same in every row are left out."""
    names = READ.get(kind) or tuple(field.name for field in dataclasses.fields(rows[0]) if field.name != "why")
    present = [name for name in names if hasattr(rows[0], name)]
    return tuple(name for name in present if not _dull(rows, name))


def _dull(rows: Sequence[Any], name: str) -> bool:
    """A column that tells nothing: the one model, the one level, no part, no damage and no grid anywhere."""
    values = {getattr(row, name) for row in rows} if name in TELLING else set()
    if name in ("model", "base", "tuned"):
        return len(values) == 1 and len(rows) > 1
    return (name == "by" and len(values) == 1) or values == {None} or (name not in KNOWN and values == {0})
