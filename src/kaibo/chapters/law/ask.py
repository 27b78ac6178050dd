"""`kaibo law` and `kaibo forecast`: what predicts a score, and what it predicts for a model not in the table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from kaibo.chapters.law.forecasts import forecast as forecast_of
from kaibo.chapters.law.lawfit import FitSettings
from kaibo.chapters.law.laws import Laws, LawSettings, fit_laws
from kaibo.chapters.law.rows import ForecastRow, LawRow
from kaibo.chapters.law.splits import Split
from kaibo.chapters.table.ask import Address, TableOptions, read
from kaibo.errors import UsageError
from kaibo.tables import averages
from kaibo.tables.chance import chance_of
from kaibo.vocabulary import Finding


@dataclass(frozen=True)
class LawOptions:
    """How a law is fitted, named as the options of the command line. `chance` is a level, `known` (the shipped one)
    or None (0); `components` None lets nested cross-validation choose; `from_step` leaves out earlier checkpoints.
    """

    columns: str | None = None
    without: str | None = None
    components: int | None = 3
    fit: FitSettings = field(default_factory=FitSettings)
    split: Split = field(default_factory=Split)
    chance: str | None = None
    reference: str | None = None
    from_step: int | None = None


def laws(
    tables: Address | Iterable[Address], target: str, *, law: LawOptions | None = None,
    options: TableOptions | None = None,
) -> Laws:  # fmt: skip
    """The fitted laws of a column. Components are of the first table's columns unless `columns` names others."""
    law = law or LawOptions()
    several = list(tables) if not isinstance(tables, str) and isinstance(tables, Iterable) else [tables]
    scores = read(several, options).table
    if law.from_step is not None:
        scores = scores.rows(scores.fact("step") >= law.from_step)
    if law.columns:
        names = scores.matching(law.columns)
    else:
        first = replace(options or TableOptions(), models=None)
        names = read(several[:1], first).table.benchmarks if len(several) > 1 else scores.benchmarks
    dropped = set(scores.matching(law.without)) if law.without else set()
    names = tuple(name for name in names if name not in dropped and name != target)
    means = {one.benchmark for one in averages(scores.only(names))} if not law.columns else set()
    if target not in scores.benchmarks:
        scores.column(target)  # raises, naming what there is
    settings = LawSettings(
        tuple(name for name in names if name not in means), law.components, law.fit, law.split,
        _chance(law.chance, target), law.reference,
    )  # fmt: skip
    return fit_laws(scores, target, settings)


def _chance(told: str | None, target: str) -> float:
    if told is None:
        return 0.0
    if told == "known":
        level = chance_of(target)
        if level is None:
            raise UsageError(f"the chance level of {target} is not known", next="--chance LEVEL, as a fraction")
        return level
    try:
        level = float(told)
    except ValueError:
        level = -1.0
    if not 0 <= level < 1:
        raise UsageError(f'"{told}" is no chance level', next="a fraction from 0 to below 1, or known")
    return level


def law(
    tables: Address | Iterable[Address], target: str, *, law: LawOptions | None = None,
    options: TableOptions | None = None,
) -> Finding[LawRow]:  # fmt: skip
    """The laws of a column on size, FLOPs and components, judged on the models held out."""
    return laws(tables, target, law=law, options=options).finding


def forecast(
    tables: Address | Iterable[Address], target: str, model: str, *, scores: Mapping[str, float] | None = None,
    flops: float | None = None, parameters: float | None = None, tokens: float | None = None,
    law: LawOptions | None = None, options: TableOptions | None = None,
) -> Finding[ForecastRow]:  # fmt: skip
    """The law of a column applied to a model that is not in the table, with an interval."""
    fitted = laws(tables, target, law=law, options=options)
    return forecast_of(fitted, model, scores=scores, flops=flops, parameters=parameters, tokens=tokens)
