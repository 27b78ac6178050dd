"""`kaibo decode`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from kaibo.desk import options, scoring
from kaibo.desk.answering import answering
from kaibo.desk.groups import grouped

Models = Annotated[list[str], typer.Argument(metavar="A B…", help="Models with one tokenizer, A the first.")]
Combine = Annotated[
    str, typer.Option("--combine", metavar="HOW", help='What their probabilities become: "A-B", "0.5*A+0.5*B".')
]
Prompts = Annotated[
    list[str] | None, typer.Option("--prompt", metavar="TEXT", help="What is continued; may be given several times.")
]
PromptFile = Annotated[
    Path | None, typer.Option("--prompts", metavar="FILE", help="Prompts, one a line.", dir_okay=False)
]
Most = Annotated[int, typer.Option("--max-tokens", metavar="N", help="Tokens written at most.")]
TopP = Annotated[
    float | None, typer.Option("--top-p", metavar="SHARE", help="Draw from the most likely (default: greedy).")
]
Temperature = Annotated[float, typer.Option("--temperature", metavar="T", help="Flatter above 1, with --top-p.")]
Seed = Annotated[int, typer.Option("--seed", metavar="N", help="The seed of the draws.")]
ScoreBy = Annotated[
    list[str] | None,
    typer.Option("--score-by", metavar="DIR|MODEL", help="Checkpoints that score what was written, in order."),
]


@dataclass(frozen=True)
class Drawn:
    """How tokens are drawn."""

    max_tokens: Most = 64
    top_p: TopP = None
    temperature: Temperature = 1.0
    seed: Seed = 0


@grouped
def command(
    models: Models,
    combine: Combine = "A-B",
    prompt: Prompts = None,
    prompts: PromptFile = None,
    score_by: ScoreBy = None,
    dtype: scoring.Dtype = "float32",
    device: scoring.Device = "cpu",
    *,
    drawn: Drawn,
    out: options.TableOutput,
    keeping: options.Keeping,
) -> None:
    """Text from several models together: probabilities added with weights, negatives zero, renormalised.

    With --score-by every checkpoint of a series scores what was written: which texts show inverse scaling?
    """
    from kaibo.chapters.decode.ask import DecodeSettings, decode
    from kaibo.collect import progress_bar

    with answering("decode", as_json=out.json) as answer, progress_bar() as progress:
        what = DecodeSettings(combine, dtype=dtype, device=device, **vars(drawn))
        settings = keeping.settings(progress)
        asked = [*(prompt or []), *_lines(prompts)]
        found = decode(
            models, asked, what=what, score_by=score_by or (), settings=settings, on_error=answer.errors.append
        )
        out.give(answer, found.texts)
        if score_by:
            _present_scores(answer, found.inverse, out.language)


def _present_scores(answer: Any, found: Any, language: str) -> None:
    """Adds what the series thinks: a list of its own in JSON, a second table for people."""
    from kaibo.reports.terminal import show

    answer.lists["inverse_scaling"] = found.records()
    answer.warnings += found.notes if answer.json else ()
    answer.also(lambda: show(found, language=language))


def _lines(path: Path | None) -> list[str]:
    if path is None:
        return []
    from kaibo.scoring.texts.texts import read_texts

    return [line for document in read_texts(path) for line in document.text.splitlines() if line.strip()]
