"""`kaibo score`."""

from __future__ import annotations

from typing import Annotated

import typer

from kaibo.cli import options
from kaibo.cli.running import answering

Texts = Annotated[
    list[str], typer.Option("--text", metavar="FILE|FOLDER|JSONL", help="What is read; may be given several times.")
]
Window = Annotated[
    int | None, typer.Option("--window", metavar="N", help="Tokens read at once (the model's context, at most 512).")
]
Stride = Annotated[int | None, typer.Option("--stride", metavar="N", help="New tokens scored in each (half a window).")]
Least = Annotated[int, typer.Option("--context-min", metavar="N", help="Tokens that stand before each at least.")]
Bos = Annotated[
    str, typer.Option("--bos", metavar="auto|always|never", help="Whether a beginning-of-sequence token comes first.")
]
Errors = Annotated[
    str, typer.Option("--errors", metavar="strict|replace|ignore", help="What to do with bytes that are not UTF-8.")
]
Dtype = Annotated[str, typer.Option("--dtype", metavar="TYPE", help="float32, bfloat16 or float16.")]
Device = Annotated[str, typer.Option("--device", metavar="DEVICE", help="cpu, cuda, mps …")]
Rope = Annotated[
    str | None,
    typer.Option("--rope", metavar="HOW", help="Scale the positions: yarn:8, linear:4, dynamic:4, base:1e6."),
]
Batch = Annotated[int, typer.Option("--batch", metavar="N", help="Tokens read at a time.")]
Each = Annotated[bool, typer.Option("--each", help="A row for each text, too.")]


def command(
    models: options.Models,
    text: Texts,
    window: Window = None,
    stride: Stride = None,
    context_min: Least = 1,
    bos: Bos = "auto",
    errors: Errors = "strict",
    dtype: Dtype = "float32",
    device: Device = "cpu",
    rope: Rope = None,
    batch: Batch = 4096,
    each: Each = False,
    json: options.Json = False,
    table: options.Export = None,
    language: options.Language = "en",
    force: options.Force = False,
    store: options.StoreFolder = None,
    workers: options.Workers = None,
    trust_shards: options.TrustShards = False,
    fail_fast: options.FailFast = False,
) -> None:
    """Nats of every token of a text under each model, and the perplexities that follow.

    Nothing that the store knows is scored again; a run that was stopped goes on where it was.
    """
    from kaibo.collect import progress_bar
    from kaibo.errors import UsageError
    from kaibo.scoring.planning import ScoreSettings
    from kaibo.verbs.score import score

    with answering("score", as_json=json) as answer, progress_bar() as progress:
        if bos not in ("auto", "always", "never"):
            raise UsageError(f'--bos "{bos}" is none of auto, always, never')
        how = ScoreSettings(window, stride, context_min, bos, dtype, rope, device, batch)  # type: ignore[arg-type]
        settings = options.settings(store, workers, False, trust_shards, fail_fast, progress)
        finding = score(
            models,
            text,
            how=how,
            errors=errors,  # type: ignore[arg-type]
            each=each,
            settings=settings,
            on_error=answer.errors.append,
        )
        options.export(finding, table, None, language=language, force=force)
        options.present(answer, finding, language=language)
