"""`kaibo store`: what is kept, whether it is sound, and how to free it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from kaibo.desk import options
from kaibo.desk.answering import Answer, answering

commands = typer.Typer(help="What the store keeps: ls, verify, compact, merge, rm.", no_args_is_help=True)

Stores = Annotated[list[Path], typer.Argument(metavar="DIR…", help="The stores whose rows are wanted.")]
Into = Annotated[Path, typer.Option("--into", metavar="DIR", help="The store that has them all afterwards.")]
Name = Annotated[str, typer.Argument(metavar="MODEL", help="A model's name, address or model_id.")]


@commands.command("ls")
def listing(json: options.Json = False, store: options.StoreFolder = None) -> None:
    """List the models in the store and the bytes each takes."""
    with answering("store ls", as_json=json) as answer:
        opened = _open(store)
        _present(answer, opened.listing())
        answer.warnings += opened.warnings


@commands.command("verify")
def verify(json: options.Json = False, store: options.StoreFolder = None) -> None:
    """Check the hash of every part; set damaged ones aside, to be measured again. Exit 1 when there were any."""
    with answering("store verify", as_json=json) as answer:
        opened = _open(store)
        damaged = opened.verify()
        answer.warnings += [one.sentence for one in opened.outdated()]
        if left := opened.abandoned():
            answer.warnings.append(
                f"{len(left)} files have no entry in the ledger and are not used: a write was cut short, or an entry "
                f"was removed; what they hold is measured again (first: {left[0].name})"
            )
        _present(answer, damaged)
        if not damaged:
            answer.show = lambda: typer.echo("every part is sound")
        answer.exit = 1 if damaged else 0


@commands.command("compact")
def compact(json: options.Json = False, store: options.StoreFolder = None) -> None:
    """Merge small parts and clear what killed runs left."""
    with answering("store compact", as_json=json) as answer:
        _present(answer, [_open(store).compact()])


@commands.command("merge")
def merge(stores: Stores, into: Into, json: options.Json = False) -> None:
    """Bring stores together in one: the same bytes however the work was split. Exit 1 when parts were damaged.

    The stores are only read; the folder may be there already, and keeps what it has.
    """
    with answering("store merge", as_json=json) as answer:
        done, damaged = _open(into).merge([_open(store) for store in stores])
        _present(answer, [done])
        answer.warnings += [one.sentence for one in damaged]
        answer.exit = 1 if damaged else 0


@commands.command("rm")
def remove(model: Name, json: options.Json = False, store: options.StoreFolder = None) -> None:
    """Forget a model and what only it uses."""
    with answering("store rm", as_json=json) as answer:
        freed = _open(store).remove(model)
        answer.results = [{"model": model, "bytes": freed}]
        answer.show = lambda: typer.echo(f"{freed:,} bytes freed")


def _open(path: Any) -> Any:
    from kaibo.desk.measuring import open_store

    return open_store(path)


def _present(answer: Answer, rows: Iterable[Any]) -> None:
    from kaibo.reports.plain import show_table
    from kaibo.reports.terminal import console
    from kaibo.vocabulary import jsonable

    answer.results = [
        {field.name: jsonable(getattr(row, field.name)) for field in dataclasses.fields(row)} for row in rows
    ]
    columns = list(answer.results[0]) if answer.results else []
    answer.show = lambda: show_table(columns, [tuple(row.values()) for row in answer.results], to=console())
