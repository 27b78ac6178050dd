"""The options that commands which score texts share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from kaibo.scoring.texts import Errors as Kept
    from kaibo.scoring.tokens import Lead

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
Batch = Annotated[
    int | None,
    typer.Option("--batch", metavar="N", min=1, help="Tokens read at a time; 1,024 on a CPU, else 4,096."),
]
Prefetch = Annotated[
    bool, typer.Option("--prefetch", help="Read the next checkpoint while one is scored: two are then in memory.")
]


def lead(bos: str) -> Lead:
    """`--bos` as the room takes it. Raises UsageError for any other word."""
    from kaibo.errors import UsageError

    if bos not in ("auto", "always", "never"):
        raise UsageError(f'--bos "{bos}" is none of auto, always, never')
    return bos  # type: ignore[return-value]


def errors_kept(errors: str) -> Kept:
    """`--errors` as the room takes it. Raises UsageError for any other word."""
    from kaibo.errors import UsageError

    if errors not in ("strict", "replace", "ignore"):
        raise UsageError(f'--errors "{errors}" is none of strict, replace, ignore')
    return errors  # type: ignore[return-value]


def counts(option: str, text: str | None) -> list[int] | None:
    """A list of counts such as `4096` or `5e5,1e6`; None where none was given. Raises UsageError for anything else."""
    from kaibo.errors import UsageError

    if text is None:
        return None
    try:
        return [int(float(part)) for part in text.split(",")]
    except (ValueError, OverflowError):
        raise UsageError(f"{option} {text} is no list of counts", next=f"write {option} 4096") from None
