"""`kaibo pass-at-k`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from kaibo.desk import options
from kaibo.desk.answering import answering
from kaibo.desk.groups import grouped
from kaibo.desk.sharing import Sharing

Samples = Annotated[
    list[Path], typer.Argument(metavar="SAMPLES…", help="Files of samples (.jsonl, .jsonl.gz); several are compared.")
]
Problems = Annotated[
    Path, typer.Option("--problems", metavar="FILE", help="HumanEval, MBPP, EvalPlus, or one's own (.jsonl, .gz).")
]
Ks = Annotated[
    str | None, typer.Option("--k", metavar="1,10,…", help="Which k (default: of 1, 10, 100 those that fit).")
]
Seconds = Annotated[float, typer.Option("--seconds", metavar="S", help="Time that a sample may take.")]
Memory = Annotated[int, typer.Option("--memory", metavar="MB", help="Address space that a sample may take.")]
Sandbox = Annotated[
    str | None,
    typer.Option("--sandbox", metavar="NAME", help="bubblewrap, unshare or landlock (default: the strongest here)."),
]
Accept = Annotated[
    bool,
    typer.Option("--i-accept-unsandboxed", help="Where no sandbox stands, run the samples with your own rights."),
]


@grouped
def command(
    samples: Samples,
    problems: Problems,
    k: Ks = None,
    seconds: Seconds = 5.0,
    memory: Memory = 512,
    sandbox: Sandbox = None,
    accept: Accept = False,
    *,
    out: options.Output,
    work: options.Work,
    sharing: Sharing,
) -> None:
    """pass@k of programs that models wrote: each runs behind walls, and a judge outside decides.

    A sample gives back values and nothing else counts: neither its exit code nor what it prints. Nothing that the
    store knows is run again.
    """
    from kaibo.chapters.pass_at_k.ask import PassOptions, pass_at, share_pass
    from kaibo.collect import progress_bar
    from kaibo.reports.terminal import show
    from kaibo.sandbox import Limits

    with answering("pass-at-k", as_json=out.json) as answer, progress_bar() as progress:
        how = PassOptions(_numbers(k), Limits(seconds, memory), sandbox, accept)
        settings = work.settings(progress)
        files = [str(each) for each in samples]
        asked: dict[str, Any] = {"options": how, "settings": settings, "on_error": answer.errors.append}
        if sharing.done(answer, lambda part: share_pass(files, problems, part, **asked), settings, (), out.language):
            return
        found = pass_at(files, problems, **asked)
        if found.passes.rows:
            out.export(found.passes, found.curves)
        out.present(answer, found.passes)
        if found.pairs.rows:
            answer.lists["pairs"] = found.pairs.records()
            answer.also(lambda: show(found.pairs, language=out.language))
        answer.lists["problems"] = [{"model": name, **vars(tally)} for name, tally in found.problems]


def _numbers(text: str | None) -> list[int] | None:
    from kaibo.errors import UsageError

    if text is None:
        return None
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and int(part[:9]) > 0 for part in parts):
        raise UsageError(f'--k "{text}" is not a list of whole numbers above 0', next="such as --k 1,10,100")
    return sorted({int(part[:9]) for part in parts})
