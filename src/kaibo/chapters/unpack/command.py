"""`kaibo unpack`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from kaibo.desk import options
from kaibo.desk.answering import answering
from kaibo.desk.groups import grouped

Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="The folder that is written.", file_okay=False)]
Dtype = Annotated[
    Literal["bfloat16", "float16", "float32"],
    typer.Option("--dtype", metavar="TYPE", help="bfloat16, float16 or float32; values are rounded to it once."),
]
ShardSize = Annotated[str, typer.Option("--shard-size", metavar="SIZE", help="Largest file, such as 5GB or 500MB.")]


@grouped
def command(
    model: options.Model,
    out: Out,
    dtype: Dtype = "bfloat16",
    shard_size: ShardSize = "5GB",
    *,
    given: options.TableOutput,
    forming: options.Forming,
) -> None:
    """Write the weights that a packed file stands for as plain safetensors, with config and tokenizer.

    A GGUF file, 4-bit or 8-bit weights, pickles: what comes out is a folder that every other program reads.
    """
    from kaibo.chapters.unpack.ask import unpack
    from kaibo.collect import progress_bar

    with answering("unpack", as_json=given.json) as answer, progress_bar() as progress:
        size = options.bytes_of(shard_size, "--shard-size")
        settings = forming.settings(progress)
        found = unpack(model, out, dtype=dtype, shard_bytes=size, force=given.force, settings=settings)
        given.give(answer, found)
