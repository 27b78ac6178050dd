"""`kaibo eval`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from kaibo.desk import options
from kaibo.desk.answering import Answer, answering

Tasks = Annotated[
    list[str] | None,
    typer.Option("--task", metavar="FILE|NAME", help="A task file, or a shipped task; may be given several times."),
]
Data = Annotated[
    Path | None, typer.Option("--data", metavar="PATH", help="The task's rows, or a folder that has them.")
]
Shots = Annotated[int | None, typer.Option("--shots", metavar="N", help="Worked examples (as the task says).")]
Variants = Annotated[
    int, typer.Option("--variants", metavar="N", help="Forms of each task: its prompts, then other examples.")
]
Limit = Annotated[int | None, typer.Option("--limit", metavar="N", help="Questions of each task, at most.")]
Dtype = Annotated[str, typer.Option("--dtype", metavar="TYPE", help="float32, bfloat16 or float16.")]
Device = Annotated[str, typer.Option("--device", metavar="DEVICE", help="cpu, cuda, mps …")]
Rope = Annotated[
    str | None, typer.Option("--rope", metavar="HOW", help="Scale the positions: yarn:8, linear:4, base:1e6.")
]
Batch = Annotated[int, typer.Option("--batch", metavar="N", help="Tokens read at a time.")]
Harness = Annotated[
    str | None,
    typer.Option("--lm-eval", metavar="TASK,…", help="Tasks of lm-evaluation-harness, run on this engine."),
]
Include = Annotated[
    Path | None, typer.Option("--include", metavar="DIR", help="A folder with more tasks of the harness.")
]

Code = Annotated[
    Path | None, typer.Option("--code", metavar="FILE", help="Problems of code: the model's programs are run on them.")
]
Samples = Annotated[int, typer.Option("--samples", metavar="N", help="Programs that are drawn for each problem.")]
Temperature = Annotated[float, typer.Option("--temperature", metavar="T", help="0 takes the likeliest token.")]
TopP = Annotated[float | None, typer.Option("--top-p", metavar="P", help="Draw from the likeliest share P.")]
Seed = Annotated[int, typer.Option("--seed", metavar="N", help="The same seed draws the same programs.")]
MaxTokens = Annotated[int, typer.Option("--max-tokens", metavar="N", help="Tokens of a program, at most.")]
Template = Annotated[
    str | None,
    typer.Option("--template", metavar="NAME", help="Ask in words: own, llama-2, code-llama (default: complete)."),
]
Accept = Annotated[
    bool,
    typer.Option("--i-accept-unsandboxed", help="Where no sandbox stands, run programs with your own rights."),
]


def command(
    models: options.Models,
    task: Tasks = None,
    data: Data = None,
    shots: Shots = None,
    variants: Variants = 1,
    limit: Limit = None,
    lm_eval: Harness = None,
    include: Include = None,
    code: Code = None,
    samples: Samples = 1,
    temperature: Temperature = 0.0,
    top_p: TopP = None,
    seed: Seed = 0,
    max_tokens: MaxTokens = 512,
    template: Template = None,
    accept: Accept = False,
    dtype: Dtype = "float32",
    device: Device = "cpu",
    rope: Rope = None,
    batch: Batch = 512,
    json: options.Json = False,
    table: options.Export = None,
    figure: options.Picture = None,
    language: options.Language = "en",
    force: options.Force = False,
    store: options.StoreFolder = None,
    workers: options.Workers = None,
    trust_shards: options.TrustShards = False,
    fail_fast: options.FailFast = False,
) -> None:
    """How well models do on tasks: each score with its standard error, chance, and the spread over prompts.

    What all questions share is read once. Nothing that the store knows is asked again.
    """
    from kaibo.chapters.eval.ask import EvalOptions, evaluate
    from kaibo.chapters.eval.ask_code import CodeOptions, evaluate_code
    from kaibo.chapters.eval.ask_harness import evaluate_harness
    from kaibo.collect import progress_bar
    from kaibo.errors import UsageError
    from kaibo.scoring.exams import ExamSettings

    with answering("eval", as_json=json) as answer, progress_bar() as progress:
        if [bool(task), bool(lm_eval), bool(code)].count(True) != 1:
            message = "eval wants tasks: either --task or --lm-eval or --code"
            raise UsageError(message, next="--task jcommonsenseqa --data FOLDER")
        if batch < 1:
            raise UsageError(f"--batch {batch} reads nothing", next="give 1 or more")
        how = EvalOptions(data, shots, variants, limit, ExamSettings(dtype, rope, device, batch), accept)
        settings = options.settings(store, workers, False, trust_shards, fail_fast, progress)
        report: Any = answer.errors.append
        if code is not None:
            drawn = CodeOptions(samples, temperature, top_p, seed, max_tokens, template)
            found = evaluate_code(models, code, code=drawn, options=how, settings=settings, on_error=report)
        elif lm_eval:
            found = evaluate_harness(
                models, lm_eval.split(","), include, options=how, settings=settings, on_error=report
            )
        else:
            found = evaluate(models, task or [], options=how, settings=settings, on_error=report)
        _present(answer, found, language)
        if found.scores.rows:
            options.export(found.scores, table, figure, language=language, force=force)


def _present(answer: Answer, found: Any, language: str) -> None:
    """The scores, and below them the comparisons where there are several models."""
    from kaibo.reports import show

    options.present(answer, found.scores, language=language)
    if found.pairs.rows:
        answer.lists["pairs"] = found.pairs.records()
        scores = answer.show

        def both() -> None:
            if scores is not None:
                scores()
            show(found.pairs, language=language)

        answer.show = both if scores is not None else None
