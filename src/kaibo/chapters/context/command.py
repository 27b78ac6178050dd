"""`kaibo context`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kaibo.desk import options
from kaibo.desk.answering import answering
from kaibo.desk.groups import grouped

Text = Annotated[Path | None, typer.Option("--text", metavar="FILE", help="UTF-8 text (default: CPython's own help).")]
UpTo = Annotated[float, typer.Option("--up-to", metavar="K", help="How many trained lengths to look at.")]
Windows = Annotated[int, typer.Option("--windows", metavar="N", help="Windows of the text at most.")]
Passkeys = Annotated[int, typer.Option("--passkeys", metavar="N", help="Prompts with a hidden number, per length.")]
Ropes = Annotated[
    str, typer.Option("--rope", metavar="LIST", help="A curve each: none,yarn:4,linear:4,dynamic:4,base:1e6.")
]
Seed = Annotated[int, typer.Option("--seed", metavar="N", help="Seed of the hidden numbers.")]


@grouped
def command(
    model: options.Model,
    text: Text = None,
    up_to: UpTo = 4.0,
    windows: Windows = 8,
    passkeys: Passkeys = 5,
    rope: Ropes = "none",
    seed: Seed = 0,
    dtype: options.Type = None,
    device: options.Device = "cpu",
    store: options.UnusedStore = None,
    *,
    out: options.Output,
) -> None:
    """How far a model reads: loss by position and hidden numbers found, up to K times its trained length."""
    from kaibo.chapters.context.ask import ContextOptions, context
    from kaibo.collect import progress_bar
    from kaibo.desk.running import Running

    with answering("context", as_json=out.json) as answer, progress_bar() as progress:
        ropes = tuple(one.strip() for one in rope.split(",") if one.strip())
        chosen = ContextOptions(up_to, windows, passkeys, ropes, seed, progress)
        found = context(model, text, options=chosen, running=Running(dtype, device))
        out.give(answer, found)
