"""`kaibo eval`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from kaibo.desk import options, scoring
from kaibo.desk.answering import Answer, answering
from kaibo.desk.groups import grouped
from kaibo.desk.sharing import Sharing

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
Batch = Annotated[int, typer.Option("--batch", metavar="N", min=1, help="Tokens read at a time.")]


@dataclass(frozen=True)
class Run:
    """How models are run."""

    dtype: scoring.Dtype = "float32"
    device: scoring.Device = "cpu"
    rope: scoring.Rope = None
    batch: Batch = 512


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


@dataclass(frozen=True)
class Asked:
    """Which questions are asked."""

    task: Tasks = None
    data: Data = None
    shots: Shots = None
    limit: Limit = None

    def options(self, **further: Any) -> Any:
        """The same as the verbs take them."""
        from kaibo.chapters.eval.ask import EvalOptions

        return EvalOptions(self.data, self.shots, limit=self.limit, **further)


@dataclass(frozen=True)
class Programs:
    """Which programs a model is to write."""

    code: Code = None
    samples: Samples = 1
    temperature: Temperature = 0.0
    top_p: TopP = None
    seed: Seed = 0
    max_tokens: MaxTokens = 512
    template: Template = None


@grouped
def command(
    models: options.Models,
    variants: Variants = 1,
    lm_eval: Harness = None,
    include: Include = None,
    accept: Accept = False,
    *,
    asked: Asked,
    programs: Programs,
    run: Run,
    out: options.Output,
    keeping: options.Keeping,
    sharing: Sharing,
) -> None:
    """How well models do on tasks: each score with its standard error, chance, and the spread over prompts.

    What all questions share is read once. Nothing that the store knows is asked again.
    """
    from kaibo.chapters.eval.ask import evaluate, share_evaluate
    from kaibo.chapters.eval.ask_code import CodeOptions, evaluate_code, share_code
    from kaibo.chapters.eval.ask_harness import evaluate_harness, share_harness
    from kaibo.collect import progress_bar
    from kaibo.errors import UsageError
    from kaibo.scoring.exams.exams import ExamSettings

    with answering("eval", as_json=out.json) as answer, progress_bar() as progress:
        if [bool(asked.task), bool(lm_eval), bool(programs.code)].count(True) != 1:
            message = "eval wants tasks: either --task or --lm-eval or --code"
            raise UsageError(message, next="--task jcommonsenseqa --data FOLDER")
        how = asked.options(
            variants=variants,
            how=ExamSettings(run.dtype, run.rope, run.device, run.batch),
            accept_unsandboxed=accept,
        )
        rest: dict[str, Any] = {
            "options": how,
            "settings": keeping.settings(progress),
            "on_error": answer.errors.append,
        }
        asked_of = vars(programs).items() if programs.code is not None else ()
        drawn = CodeOptions(**{name: value for name, value in asked_of if name != "code"})

        def share(shard: Any) -> Any:
            if programs.code is not None:
                return share_code(models, programs.code, shard, code=drawn, **rest)
            if lm_eval:
                return share_harness(models, lm_eval.split(","), include, shard, **rest)
            return share_evaluate(models, asked.task or [], shard, **rest)

        if sharing.done(answer, share, rest["settings"], language=out.language, device=run.device):
            return
        if programs.code is not None:
            found = evaluate_code(models, programs.code, code=drawn, **rest)
        elif lm_eval:
            found = evaluate_harness(models, lm_eval.split(","), include, **rest)
        else:
            found = evaluate(models, asked.task or [], **rest)
        _present(answer, found, out.language)
        if found.scores.rows:
            out.export(found.scores)


def _present(answer: Answer, found: Any, language: str) -> None:
    """The scores, and below them the comparisons where there are several models."""
    from kaibo.reports.terminal import show

    options.present(answer, found.scores, language=language)
    if found.pairs.rows:
        answer.lists["pairs"] = found.pairs.records()
        scores = answer.show

        def both() -> None:
            if scores is not None:
                scores()
            show(found.pairs, language=language)

        answer.show = both if scores is not None else None
