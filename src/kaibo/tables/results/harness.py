"""Result files of lm-evaluation-harness: the old flat form and the new one, one file or a folder of them.

What is read is what its 0.4 releases write from the command line and from Python: scores are the entries named
`metric,filter`; everything else that is a number (`sample_len`, counts) is none.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from kaibo.errors import FormatError
from kaibo.tables.files.records import parse
from kaibo.tables.files.text import decode, read_bytes
from kaibo.tables.results.runs import STAMP, Named, named
from kaibo.vocabulary.scores import Unit

_NO_METRICS = frozenset({"sample_len", "sample_count", "samples", "num_samples", "n_samples", "n", "limit", "version"})
_PERCENT = ("bleu", "chrf", "ter", "rouge1", "rouge2", "rougel", "rougelsum")
_OPEN = ("perplexity", "ppl", "bits_per_byte", "likelihood_diff", "likelihood_difference", "brier_score", *_PERCENT)


@dataclass(frozen=True)
class Score:
    """One score of one file: task, metric (with the filter where it is not "none"), value, error, number of shots."""

    task: str
    metric: str
    value: float
    stderr: float
    shots: int | None


@dataclass(frozen=True)
class Results:
    """One result file: the model, its training step (None if it names none), and its scores.

    `date` orders files of one model (empty where none is known), `partial` names the tasks that were evaluated on a
    part of their examples, `groups` the tasks that are aggregates of others.
    """

    path: Path
    named: Named
    scores: tuple[Score, ...]
    date: str = ""
    partial: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()

    @property
    def step(self) -> int | None:
        """The training step."""
        return self.named.step


def is_results(value: Any) -> bool:
    """Whether a parsed JSON document is a result file of lm-evaluation-harness."""
    if not isinstance(value, Mapping):
        return False
    results = value.get("results")
    if isinstance(results, Mapping) and ("versions" in value or "config" in value or "configs" in value):
        return True
    return (
        isinstance(results, Mapping) and bool(results) and all(isinstance(part, Mapping) for part in results.values())
    )


def read_results(value: Mapping[str, Any], path: Path) -> Results:
    """The scores of one result file. Raises FormatError for a task that holds no numbers where metrics should be."""
    groups, config = _mapping(value, "groups"), _mapping(value, "config")
    tasks = {**groups, **value["results"]}
    for task, metrics in tasks.items():
        if not isinstance(metrics, Mapping):
            raise FormatError(f'the results of "{task}" are no object', file=path)
    filtered = any("," in key for metrics in tasks.values() for key in metrics)
    scores: list[Score] = []
    for task, metrics in tasks.items():
        count = _mapping(value, "n-shot").get(task, config.get("num_fewshot"))
        whole = count if isinstance(count, int) and not isinstance(count, bool) else None
        scores += _scores(str(task), metrics, whole, filtered)
    counts = _mapping(value, "n-samples")
    partial = tuple(str(task) for task, count in counts.items() if _is_partial(count))
    members = _mapping(value, "group_subtasks")
    aggregates = tuple(str(task) for task, of in members.items() if task in tasks and isinstance(of, list) and of)
    return Results(path, named(value, path), tuple(scores), _date(value, path), partial, aggregates)


def _mapping(value: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = value.get(key)
    return found if isinstance(found, Mapping) else {}


def _is_partial(count: Any) -> bool:
    if not isinstance(count, Mapping):
        return False
    effective, original = count.get("effective"), count.get("original")
    return isinstance(effective, int) and isinstance(original, int) and effective < original


def _date(value: Mapping[str, Any], path: Path) -> str:
    stamp = STAMP.search(path.stem)
    if stamp is not None:
        day, _, clock = stamp[1].partition("T")
        return f"{day}T{clock.replace(':', '-')}"
    seconds = value.get("date")
    if isinstance(seconds, int | float) and not isinstance(seconds, bool) and 0 < seconds < 1e11:
        return str(np.datetime64(int(seconds * 1000), "ms")).replace(":", "-")
    return ""


def _scores(task: str, metrics: Mapping[str, Any], shots: int | None, filtered: bool) -> list[Score]:
    out = []
    for key, value in metrics.items():
        metric, comma, kept = key.partition(",")
        if metric.endswith("_stderr") or (filtered and not comma) or (not filtered and key in _NO_METRICS):
            continue
        if not isinstance(value, int | float) or isinstance(value, bool):
            continue
        error = metrics.get(f"{metric}_stderr,{kept}" if comma else f"{metric}_stderr")
        name = metric if kept in ("", "none") else key
        out.append(Score(task, name, _float(value), _float(error), shots))
    return out


def _float(value: Any) -> float:
    """A score as a float; NaN (missing) for what is none, for infinity and for integers no float can hold."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return math.nan
    try:
        number = float(value)
    except OverflowError:
        return math.nan
    return number if math.isfinite(number) else math.nan


def read_folder(folder: Path, encoding: str | None = None) -> list[Results]:
    """All result files under a folder. Files that are other JSON are left out, per-sample files (`.jsonl`) too."""
    found = []
    for path in sorted(folder.rglob("*.json")):
        if not path.resolve().is_relative_to(folder.resolve()) or not path.is_file():
            continue
        text, _ = decode(read_bytes(path), path, encoding)
        value = parse(text, path, lenient=True)
        if is_results(value):
            found.append(read_results(value, path))
    return found


def unit_of_metric(metric: str) -> Unit:
    """What a metric of the harness is counted in: most are fractions."""
    bare = metric.split(",")[0]
    return "percent" if bare in _PERCENT else "points" if bare in _OPEN or "perplexity" in bare else "fraction"


@cache
def _known() -> tuple[dict[str, Any], ...]:
    text = resources.files("kaibo.tables.published").joinpath("models.toml").read_text(encoding="utf-8")
    return tuple(tomllib.loads(text)["model"])


def known_model(name: str) -> Mapping[str, float]:
    """Parameters and tokens per step of a model of the small shipped table; empty where it is not known.

    >>> known_model("EleutherAI/pythia-v1.1-70m-deduped")["parameters"]
    70426624
    """
    return next((entry for entry in _known() if re.search(entry["pattern"], name[:1000], re.IGNORECASE)), {})
