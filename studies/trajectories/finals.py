"""Models by address: runs of checkpoints and published finals, and what published numbers of OPT are held against."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import kaibo

OPT = {"125M": 125e6, "1.3B": 1.3e9, "6.7B": 6.7e9, "13B": 13e9, "30B": 30e9, "175B": 175e9}
"""The sizes of which the source reports numbers."""

NEAR = 0.05
"""How far the parameters of a model may lie from its nominal size."""

SHARES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
STARTS = ("0.1", "0.7")
OPTIONS = {"correct": "ppl_right", "wrong": "ppl_wrong"}
ELSEWHERE = "OPT on other texts"
"""The scale of what OPT's own models say: the source does not publish its texts and questions."""

RUNS = kaibo.note("trajectory_opt_runs")


@dataclass(frozen=True)
class Given:
    """Models that were named: `runs` (folders of checkpoints, revisions of one repository) and `finals`; the
    parameters and family of each final, and whether all of them are OPT.
    """

    runs: tuple[str, ...] = ()
    finals: tuple[str, ...] = ()
    sizes: Mapping[str, int] | None = None
    families: Mapping[str, str] | None = None

    @property
    def scale(self) -> str:
        """Where their outcomes are measured."""
        families = set((self.families or {}).values())
        return ELSEWHERE if families == {"opt"} else "models given"


def given(models: Sequence[str]) -> Given:
    """The models that were named, told apart, and what the configs of the finals say."""
    repositories = Counter(one.partition("@")[0] for one in models if one.startswith("hf:") and "@" in one)
    runs = tuple(one for one in models if is_run(one) or repositories[one.partition("@")[0]] > 1)
    finals = tuple(one for one in models if one not in runs)
    found = kaibo.inspect(finals).rows if finals else ()
    sizes = {row.model: int(row.parameters) for row in found if row.parameters}
    families = {row.model: str(row.family) for row in found}
    return Given(runs, finals, sizes, families)


def is_run(address: str) -> bool:
    """Whether an address is a folder of checkpoints and no model itself."""
    folder = Path(address)
    return folder.is_dir() and not (folder / "config.json").is_file()


def opt_size(parameters: float | None, family: str = "opt") -> str | None:
    """The published size of OPT that a model is of."""
    if family != "opt" or not parameters:
        return None
    return next((name for name, size in OPT.items() if abs(parameters / size - 1) <= NEAR), None)


def corrupted(finals: Sequence[str], inputs: kaibo.Inputs) -> Any:
    """Perplexities of the texts with words replaced, under each final."""
    shares = (0.0, 0.4, 1.0) if inputs.small else SHARES
    what = kaibo.options.CorruptSettings(shares=shares, unit="word")
    return kaibo.corrupt(list(finals), inputs.texts, what=what, settings=inputs.settings)


def options(finals: Sequence[str], inputs: kaibo.Inputs, questions: str) -> Any:
    """Scores and perplexities of right and wrong options of each final, on the tasks named or questions of the text."""
    tasks = list(inputs.tasks) or [questions]
    how = kaibo.options.EvalOptions(data=None if inputs.tasks else inputs.texts[0])
    try:
        asked = kaibo.evaluate(list(finals), tasks, options=how, settings=inputs.settings, on_error=unless_too_long)
        return asked.scores if asked.scores.rows else None
    except kaibo.KaiboError as error:
        if error.kind != "format":
            raise
        return None  # a text that is too short for questions


def unless_too_long(error: kaibo.KaiboError) -> None:
    """Questions that a model's context is too short for do not count; everything else ends the study."""
    if error.kind != "unfinished":
        raise error


def wrong_options(answered: Any, known: Given) -> list[kaibo.Outcome]:
    """Whether wrong options are likelier in the largest final than in the smallest."""
    sizes = known.sizes or {}
    rows = [row for row in answered.rows if row.metric == "ppl_wrong" and row.model in sizes]
    rows.sort(key=lambda row: sizes[row.model])
    if len({sizes[row.model] for row in rows}) < 2:
        return []
    small, large = rows[0], rows[-1]
    if None in (small.value_low, large.value_high):
        return []
    falls = large.value_high < small.value_low
    if falls or large.value_low > small.value_high:
        return [kaibo.Outcome("wrong-options-fall", falls, scale=known.scale, n=len(rows))]
    return [kaibo.Outcome("wrong-options-fall", None, scale=known.scale, why=kaibo.note("trajectory_open_options"))]


def of_opt(known: Given, noise: Any, answered: Any, trends: Any) -> list[kaibo.Outcome]:
    """An outcome for every number that the source reports of OPT: what was measured, or what would measure it."""
    found = {one.name: one for one in lacking()}
    for model, parameters in (known.sizes or {}).items():
        size = opt_size(parameters, (known.families or {}).get(model, ""))
        if size is None:
            continue
        for row in noise.rows if noise is not None else ():
            if row.model == model and row.ppl is not None:
                name = f"opt-{size}.noise.{round(100 * row.share)}"
                found[name] = kaibo.Outcome(name, row.ppl, row.ppl_low, row.ppl_high, ELSEWHERE, row.tokens)
        for row in answered.rows if answered is not None else ():
            kind = next((kind for kind, metric in OPTIONS.items() if row.metric == metric), None)
            if row.model == model and kind is not None:
                name = f"opt-{size}.{kind}"
                found[name] = kaibo.Outcome(name, row.value, row.value_low, row.value_high, ELSEWHERE, row.questions)
    return list({**found, **{one.name: one for one in stagnated(trends)}}.values())


def stagnated(trends: Any) -> list[kaibo.Outcome]:
    """The share of finished tokens by the paper's own rule, in runs of OPT's sizes."""
    found = []
    for row in trends.shares.rows if trends is not None else ():
        size, share = opt_size(row.parameters), row.shares_published.get("stagnated")
        if size is not None and share is not None:
            ends = (row.published_low.get("stagnated"), row.published_high.get("stagnated"))
            found.append(kaibo.Outcome(f"opt-{size}.stagnated.{row.start:g}", share, *ends, ELSEWHERE, row.tokens))
    return found


def lacking() -> list[kaibo.Outcome]:
    """Every outcome about OPT as it is where its model was not given: what to give."""
    out = []
    for size in OPT:
        address = f"--models hf:facebook/opt-{size.lower()}"
        model = address if size != "175B" else kaibo.note("trajectory_opt_largest")
        final, asked = (kaibo.note(f"trajectory_opt_{one}", model=model) for one in ("final", "options"))
        out += [kaibo.Outcome(f"opt-{size}.noise.{round(100 * share)}", None, why=final) for share in SHARES[1:]]
        out += [kaibo.Outcome(f"opt-{size}.{kind}", None, why=asked) for kind in OPTIONS]
        out += [kaibo.Outcome(f"opt-{size}.stagnated.{start}", None, why=RUNS) for start in STARTS]
    return out


def renamed(found: Any, names: Mapping[str, str]) -> Any:
    """The corruption curve with each model called by the name of its run."""
    return replace(found, rows=tuple(replace(row, model=names.get(row.model, row.model)) for row in found.rows))
