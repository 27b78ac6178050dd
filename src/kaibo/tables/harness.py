"""Result files of lm-evaluation-harness: the old flat form and the new one, one file or a folder of checkpoints."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from kaibo.errors import FormatError
from kaibo.tables.names import family_of
from kaibo.tables.records import parse
from kaibo.tables.text import decode, read_bytes
from kaibo.vocabulary.scores import ScoreTable, Unit

_STEP = re.compile(r"(?:step|checkpoint|global_step)[-_]?(\d+)(?!.*(?:step|checkpoint)[-_]?\d)", re.IGNORECASE)
_STAMP = re.compile(r"(?:results)?_?\d{4}-\d\d-\d\dT[\d.:-]+$")
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
    """One result file: the model, its training step (None if it names none), and its scores."""

    path: Path
    model: str
    step: int | None
    scores: tuple[Score, ...]


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
    shots = value.get("n-shot") or {}
    config = value.get("config") or {}
    common = config.get("num_fewshot") if isinstance(config, Mapping) else None
    scores: list[Score] = []
    for task, metrics in value["results"].items():
        if not isinstance(metrics, Mapping):
            raise FormatError(f'the results of "{task}" are no object', file=path)
        count = shots.get(task, common) if isinstance(shots, Mapping) else common
        scores += _scores(str(task), metrics, count if isinstance(count, int) else None)
    model, step = _identity(value, path)
    return Results(path, model, step, tuple(scores))


def _scores(task: str, metrics: Mapping[str, Any], shots: int | None) -> list[Score]:
    out = []
    for key, value in metrics.items():
        metric, _, kept = key.partition(",")
        if metric.endswith("_stderr") or not isinstance(value, int | float) or isinstance(value, bool):
            continue
        error = metrics.get(f"{metric}_stderr,{kept}" if kept else f"{metric}_stderr")
        name = metric if kept in ("", "none") else key
        spread = float(error) if isinstance(error, int | float) else np.nan
        out.append(Score(task, name, float(value), spread, shots))
    return out


def _identity(value: Mapping[str, Any], path: Path) -> tuple[str, int | None]:
    config = value.get("config") if isinstance(value.get("config"), Mapping) else {}
    arguments = (config or {}).get("model_args", "")
    if isinstance(arguments, str):
        arguments = dict(part.split("=", 1) for part in arguments.split(",") if "=" in part)
    name = value.get("model_name") or arguments.get("pretrained") or arguments.get("model")
    revision = str(arguments.get("revision", ""))
    step = _step(revision) if _step(revision) is not None else _step(path.stem)
    if step is None:
        step = _step(path.parent.name)
    if not name:
        # results_2024-05-01T….json lies in a folder named after the model (org__name)
        stem = _STEP.sub("", _STAMP.sub("", path.stem)).rstrip("-_.")
        name = stem if stem and stem != "results" else path.parent.name.replace("__", "/")
    return str(name), step


def _step(text: str) -> int | None:
    found = _STEP.search(text)
    return int(found[1]) if found else None


def read_folder(folder: Path, encoding: str | None = None) -> list[Results]:
    """All result files under a folder, by model and step. Files that are other JSON are left out."""
    found = []
    for path in sorted(folder.rglob("*.json")):
        if not path.resolve().is_relative_to(folder.resolve()):
            continue
        text, _ = decode(read_bytes(path), path, encoding)
        value = parse(text, path)
        if is_results(value):
            found.append(read_results(value, path))
    return sorted(found, key=lambda one: (one.model, -1 if one.step is None else one.step))


def table_of(results: Sequence[Results], name: str) -> ScoreTable:
    """The score table of result files: a row a checkpoint (`model@step`), a column a `task.metric`.

    Parameters come from a small table of known models, tokens from its tokens per step, FLOPs = 6·N·tokens.
    Raises FormatError for two files with one model and step.
    """
    rows = [f"{one.model}@{one.step}" if one.step is not None else one.model for one in results]
    twice = [row for place, row in enumerate(rows) if row in rows[:place]]
    if twice:
        raise FormatError(f'two result files for "{twice[0]}"', file=name, next="keep one of them")
    benchmarks = tuple(sorted({f"{score.task}.{score.metric}" for one in results for score in one.scores}))
    place_of = {benchmark: place for place, benchmark in enumerate(benchmarks)}
    values = np.full((len(results), len(benchmarks)), np.nan)
    spread = np.full_like(values, np.nan)
    for row, one in enumerate(results):
        for score in one.scores:
            values[row, place_of[f"{score.task}.{score.metric}"]] = score.value
            spread[row, place_of[f"{score.task}.{score.metric}"]] = score.stderr
    known = [known_model(one.model) for one in results]
    step = np.array([np.nan if one.step is None else one.step for one in results], dtype=np.float64)
    size = np.array([entry.get("parameters", np.nan) for entry in known], dtype=np.float64)
    tokens = step * np.array([entry.get("tokens_per_step", np.nan) for entry in known], dtype=np.float64)
    facts = {"parameters": size, "tokens": tokens, "flops": 6.0 * size * tokens, "step": step}
    shots = sorted({score.shots for one in results for score in one.scores if score.shots is not None})
    notes = (f"{len(results)} result files of lm-evaluation-harness" + (f", {shots} shots" if shots else ""),)
    units = tuple(_unit(benchmark.rsplit(".", 1)[-1]) for benchmark in benchmarks)
    families = tuple(family_of(one.model) for one in results)
    labels = {"model": tuple(one.model for one in results), "file": tuple(str(one.path.name) for one in results)}
    originals = {(rows[i], benchmarks[j]): "" for i, j in np.argwhere(np.isnan(values))}
    return ScoreTable(name, tuple(rows), benchmarks, values, units, families, facts, labels, originals, spread, notes)


def _unit(metric: str) -> Unit:
    bare = metric.split(",")[0]
    return "percent" if bare in _PERCENT else "points" if bare in _OPEN else "fraction"


@cache
def _known() -> tuple[dict[str, Any], ...]:
    text = resources.files("kaibo.tables.published").joinpath("models.toml").read_text(encoding="utf-8")
    return tuple(tomllib.loads(text)["model"])


def known_model(name: str) -> Mapping[str, float]:
    """Parameters and tokens per step of a model of the small shipped table; empty where it is not known.

    >>> known_model("EleutherAI/pythia-v1.1-70m-deduped")["parameters"]
    70426624
    """
    return next((entry for entry in _known() if re.search(entry["pattern"], name, re.IGNORECASE)), {})
