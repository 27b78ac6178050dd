"""`kaibo law` and `kaibo forecast`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

import typer

from kaibo.chapters.table import options as tables
from kaibo.desk.answering import answering
from kaibo.desk.groups import grouped
from kaibo.errors import UsageError

Target = Annotated[str, typer.Option("--target", metavar="COLUMN", help="The score to predict.")]
FormName = Annotated[
    Literal["sigmoid", "plain", "linear", "power", "chinchilla"],
    typer.Option("--form", metavar="FORM", help="sigmoid, plain, linear, power, chinchilla."),
]
Floor = Annotated[
    float, typer.Option("--floor", metavar="B", help="Upper bound of b in h·σ(βx+α)+b, h = 1-b.", min=0, max=1)
]
Huber = Annotated[float, typer.Option("--huber", metavar="DELTA", help="Huber's δ; 0 takes plain squares.", min=0)]
Components = Annotated[
    str, typer.Option("--components", metavar="N|auto", help="How many; auto: nested cross-validation over families.")
]
Cutoff = Annotated[
    float | None, typer.Option("--cutoff", metavar="FLOPS", help="Train on models of at most so many FLOPs.")
]
Top = Annotated[
    float | None, typer.Option("--top", metavar="SHARE", help="Test on this share with the highest targets.")
]
Random = Annotated[float | None, typer.Option("--random", metavar="SHARE", help="Test on this share, drawn at random.")]
ByFamily = Annotated[bool, typer.Option("--by-family", help="Predict each family from the others.")]
Chance = Annotated[
    str | None, typer.Option("--chance", metavar="LEVEL|known", help="Chance level of the target, as a fraction.")
]
Reference = Annotated[
    str | None, typer.Option("--reference", metavar="FAMILY", help="Say which FLOPs of this family would do as well.")
]
FromStep = Annotated[
    int | None, typer.Option("--from-step", metavar="N", help="Leave out checkpoints before this training step.")
]
Starts = Annotated[int, typer.Option("--starts", metavar="N", help="Starts of every fit.", min=1)]
Name = Annotated[str, typer.Option("--model", metavar="NAME", help="What to call the new model.")]
Scores = Annotated[
    list[str] | None, typer.Option("--score", metavar="COLUMN=VALUE", help="A score of the new model; once per column.")
]
Flops = Annotated[float | None, typer.Option("--flops", metavar="F", help="Its training FLOPs.")]
Parameters = Annotated[float | None, typer.Option("--parameters", metavar="N", help="Its parameters.")]
Tokens = Annotated[float | None, typer.Option("--tokens", metavar="D", help="Its training tokens.")]


@dataclass(frozen=True)
class Fit:
    """What is fitted to what."""

    form: FormName = "sigmoid"
    columns: tables.Columns = None
    without: tables.Without = None
    components: Components = "3"
    floor: Floor = 0.2
    huber: Huber = 1.0
    chance: Chance = None
    starts: Starts = 50
    draws: tables.Draws = 1000
    seed: tables.Seed = 0

    def asked(self, split: Any, reference: str | None = None, from_step: int | None = None) -> Any:
        """The same as the verbs take them. Raises UsageError for components that are neither a number nor auto."""
        from kaibo.chapters.law.ask import LawOptions
        from kaibo.chapters.law.lawfit import FitSettings

        if self.components != "auto" and not (self.components.isdigit() and int(self.components) >= 1):
            raise UsageError(f'--components must be a number or auto, got "{self.components}"')
        fit = FitSettings(self.form, self.floor, self.huber or None, self.starts, self.draws, self.seed)
        count = None if self.components == "auto" else int(self.components)
        asked = LawOptions(self.columns, self.without, count, fit, split, self.chance, reference)
        return replace(asked, from_step=from_step)


@grouped
def law(
    tables_: tables.Tables,
    target: Target,
    cutoff: Cutoff = None,
    top: Top = None,
    random: Random = None,
    by_family: ByFamily = False,
    reference: Reference = None,
    from_step: FromStep = None,
    *,
    fit: Fit,
    reading: tables.Reading,
    out: tables.Output,
) -> None:
    """A scaling law of one score, on components of the others, on size and on FLOPs, judged on models held out.

    Components are of the first table's columns unless --columns names others. Forms power (E + A/N^α) and chinchilla
    (E + A/N^α + B/D^β) take a loss, a perplexity or a score, with parameters and tokens.
    """
    from kaibo.chapters.law.ask import law as fit_law
    from kaibo.chapters.law.splits import parse_split

    with answering("law", as_json=out.json) as answer:
        asked = fit.asked(parse_split(cutoff, top, random, by_family), reference, from_step)
        out.give(answer, fit_law(tables_, target, law=asked, options=reading.options()))


@grouped
def forecast(
    tables_: tables.Tables,
    target: Target,
    model: Name = "new model",
    score: Scores = None,
    flops: Flops = None,
    parameters: Parameters = None,
    tokens: Tokens = None,
    cutoff: Cutoff = None,
    *,
    fit: Fit,
    reading: tables.Reading,
    out: tables.TableOutput,
) -> None:
    """The law of a score applied to a model that is not in the table, with an interval and a warning outside it."""
    from kaibo.chapters.law.ask import forecast as predict
    from kaibo.chapters.law.splits import parse_split

    with answering("forecast", as_json=out.json) as answer:
        asked = fit.asked(parse_split(cutoff, None, None, False))
        known = {"flops": flops, "parameters": parameters, "tokens": tokens}
        given = tables.numbers(score, "--score")
        finding = predict(tables_, target, model, scores=given, law=asked, options=reading.options(), **known)
        out.give(answer, finding)
