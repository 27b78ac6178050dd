"""The options that commands which score texts share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import typer

Texts = Annotated[
    list[str], typer.Option("--text", metavar="FILE|FOLDER|JSONL", help="What is read; may be given several times.")
]
Window = Annotated[
    int | None, typer.Option("--window", metavar="N", help="Tokens read at once (the model's context, at most 512).")
]
Stride = Annotated[int | None, typer.Option("--stride", metavar="N", help="New tokens scored in each (half a window).")]
Least = Annotated[int, typer.Option("--context-min", metavar="N", help="Tokens that stand before each at least.")]
Bos = Annotated[
    Literal["auto", "always", "never"],
    typer.Option("--bos", metavar="auto|always|never", help="Whether a beginning-of-sequence token comes first."),
]
Errors = Annotated[
    Literal["strict", "replace", "ignore"],
    typer.Option("--errors", metavar="strict|replace|ignore", help="What to do with bytes that are not UTF-8."),
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


@dataclass(frozen=True)
class Scoring:
    """How texts are cut and read."""

    window: Window = None
    stride: Stride = None
    bos: Bos = "auto"
    errors: Errors = "strict"
    dtype: Dtype = "float32"
    device: Device = "cpu"
    batch: Batch = None
    prefetch: Prefetch = False

    def settings(self, context_min: int = 1, rope: str | None = None) -> Any:
        """The same as the engine takes them."""
        from kaibo.scoring.planning import ScoreSettings

        return ScoreSettings(
            self.window, self.stride, context_min, self.bos, self.dtype, rope, self.device, self.batch, self.prefetch
        )


def counts(option: str, text: str | None) -> list[int] | None:
    """A list of counts such as `4096` or `5e5,1e6`; None where none was given. Raises UsageError for anything else."""
    from kaibo.errors import UsageError

    if text is None:
        return None
    try:
        return [int(float(part)) for part in text.split(",")]
    except (ValueError, OverflowError):
        raise UsageError(f"{option} {text} is no list of counts", next=f"write {option} 4096") from None
