"""`kaibo train` and `kaibo runs`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from kaibo.desk import options
from kaibo.desk.answering import Answer, answering
from kaibo.desk.groups import grouped
from kaibo.desk.options import bytes_of

RecipeFile = Annotated[str, typer.Argument(metavar="RECIPE", help="A recipe (TOML), or the name of a shipped one.")]
Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="The folder of the runs, a folder each.")]
Base = Annotated[str | None, typer.Option("--base", metavar="MODEL", help="The base, instead of the recipe's.")]
Sets = Annotated[
    list[str] | None, typer.Option("--data", metavar="NAME=FILE", help="The file of a named data set; repeat it.")
]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help="Another value for a field; repeat it.")
]
Plan = Annotated[bool, typer.Option("--plan", help="Only say what memory and time it takes, by part.")]
Memory = Annotated[
    str | None, typer.Option("--memory", metavar="SIZE", help="With --plan: memory of another device, as 24GB.")
]
Folders = Annotated[list[str] | None, typer.Argument(metavar="[DIR…]", help="Folders of runs to list as well.")]


@grouped
def command(
    recipe: RecipeFile,
    json: options.Json = False,
    out: Out = Path("kaibo-runs"),
    base: Base = None,
    data: Sets = None,
    set: Overrides = None,  # noqa: A002 - the name of the option
    plan: Plan = False,
    memory: Memory = None,
    language: options.Language = "en",
    force: Annotated[bool, typer.Option("--force", help="Replace runs of the same name with other inputs.")] = False,
    *,
    work: options.Work,
) -> None:
    """Make models by a recipe: SFT, DPO or pre-training; what is there is not repeated, what was begun is taken up."""
    with answering("train", as_json=json) as answer:
        from kaibo.chapters.train.ask import TrainOptions

        chosen = TrainOptions(out, base, _pairs(data, "--data"), _values(set), force)
        if plan:
            _plan(answer, recipe, chosen, memory, language)
        else:
            _train(answer, recipe, chosen, work.settings(), language)


@grouped
def runs(
    folders: Folders = None,
    store: options.StoreFolder = None,
    *,
    out: options.TableOutput,
) -> None:
    """List the models that recipes made, and where they are."""
    with answering("runs", as_json=out.json) as answer:
        from kaibo.chapters.train.ask import runs as listed
        from kaibo.desk.measuring import Settings

        finding = listed(folders or [], settings=Settings(store), on_error=answer.errors.append)
        out.give(answer, finding)


def _train(answer: Answer, recipe: str, chosen: Any, settings: Any, language: str) -> None:
    from kaibo.chapters.train.ask import train
    from kaibo.collect import training_bar

    with training_bar() as bar:
        finding = train(recipe, chosen, settings=settings, bar=bar, on_error=answer.errors.append)
    options.present(answer, finding, language=language)


def _plan(answer: Answer, recipe: str, chosen: Any, memory: str | None, language: str) -> None:
    from kaibo.chapters.train.ask import plan

    finding = plan(recipe, chosen, memory=None if memory is None else bytes_of(memory, "--memory"))
    options.present(answer, finding, language=language)
    answer.errors += [problem for row in finding.rows if (problem := row.refusal) is not None]


def _pairs(given: list[str] | None, option: str) -> dict[str, str]:
    from kaibo.errors import UsageError

    pairs = {}
    for one in given or []:
        name, mark, value = one.partition("=")
        if not mark or not name:
            raise UsageError(f"{option} {one} is no NAME=VALUE")
        pairs[name] = value
    return pairs


def _values(given: list[str] | None) -> dict[str, Any]:
    """Values as TOML has them; what is no TOML value is text."""
    from kaibo.documents.toml_text import toml_value
    from kaibo.errors import FormatError

    values: dict[str, Any] = {}
    for name, text in _pairs(given, "--set").items():
        try:
            values[name] = toml_value(f"value = {text}", "--set")["value"]
        except FormatError:
            values[name] = text
    return values
