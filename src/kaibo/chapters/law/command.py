"""`kaibo law` and `kaibo forecast`."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

import typer

from kaibo.chapters.table import options as tables
from kaibo.desk.answering import answering
from kaibo.desk.groups import grouped
from kaibo.errors import UsageError

FORMS = ("sigmoid", "plain", "linear", "power", "chinchilla")

Target = Annotated[str, typer.Option("--target", metavar="COLUMN", help="The score to predict.")]
FormName = Annotated[str, typer.Option("--form", metavar="FORM", help=", ".join(FORMS) + ".")]
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


def _law(
    columns: str | None, without: str | None, components: str, form: str, floor: float, huber: float,
    split: Any, chance: str | None, reference: str | None, numbers: tuple[int, int, int],
) -> Any:  # fmt: skip
    from kaibo.chapters.law.ask import LawOptions
    from kaibo.chapters.law.lawfit import FitSettings

    if form not in FORMS:
        raise UsageError(f'"{form}" is no form', next=", ".join(FORMS))
    if components != "auto" and not (components.isdigit() and int(components) >= 1):
        raise UsageError(f'--components takes a number or auto, not "{components}"')
    fit = FitSettings(form, floor, huber or None, *numbers)
    return LawOptions(
        columns, without, None if components == "auto" else int(components), fit, split, chance, reference
    )


@grouped
def law(
    tables_: tables.Tables,
    target: Target,
    form: FormName = "sigmoid",
    columns: tables.Columns = None,
    without: tables.Without = None,
    components: Components = "3",
    cutoff: Cutoff = None,
    top: Top = None,
    random: Random = None,
    by_family: ByFamily = False,
    floor: Floor = 0.2,
    huber: Huber = 1.0,
    chance: Chance = None,
    reference: Reference = None,
    from_step: FromStep = None,
    starts: Starts = 50,
    draws: tables.Draws = 1000,
    seed: tables.Seed = 0,
    *,
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
        how = reading.options()
        split = parse_split(cutoff, top, random, by_family)
        asked = _law(columns, without, components, form, floor, huber, split, chance, reference, (starts, draws, seed))
        asked = replace(asked, from_step=from_step)
        finding = fit_law(tables_, target, law=asked, options=how)
        out.give(answer, finding)


@grouped
def forecast(
    tables_: tables.Tables,
    target: Target,
    model: Name = "new model",
    score: Scores = None,
    flops: Flops = None,
    parameters: Parameters = None,
    tokens: Tokens = None,
    form: FormName = "sigmoid",
    columns: tables.Columns = None,
    without: tables.Without = None,
    components: Components = "3",
    cutoff: Cutoff = None,
    floor: Floor = 0.2,
    huber: Huber = 1.0,
    chance: Chance = None,
    starts: Starts = 50,
    draws: tables.Draws = 1000,
    seed: tables.Seed = 0,
    *,
    reading: tables.Reading,
    out: tables.TableOutput,
) -> None:
    """The law of a score applied to a model that is not in the table, with an interval and a warning outside it."""
    from kaibo.chapters.law.ask import forecast as predict
    from kaibo.chapters.law.splits import parse_split

    with answering("forecast", as_json=out.json) as answer:
        how = reading.options()
        split = parse_split(cutoff, None, None, False)
        asked = _law(columns, without, components, form, floor, huber, split, chance, None, (starts, draws, seed))
        given = tables.numbers(score, "--score")
        finding = predict(
            tables_, target, model, scores=given, flops=flops, parameters=parameters, tokens=tokens, law=asked,
            options=how,
        )  # fmt: skip
        out.give(answer, finding)
