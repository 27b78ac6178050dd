"""`kaibo probe`: does a model still answer, in the language asked, and does it stop?"""

from __future__ import annotations

from collections.abc import Iterable

from kaibo.desk.addresses import Address, OnError, addresses, raising
from kaibo.errors import KaiboError
from kaibo.recipes.loading import require_training
from kaibo.recipes.probes.judging import ProbeRow
from kaibo.version import __version__
from kaibo.vocabulary import Finding
from kaibo.vocabulary.kinds import Kind

PROBE = Kind(
    "probe",
    ProbeRow,
    __package__,
    columns=(
        "model",
        "asked",
        "language",
        "stopped",
        "repeated",
        "leaked",
        "empty",
        "answers",
        "faults",
    ),
)


def probe(
    models: Address | Iterable[Address],
    *,
    prompts: str = "",
    language: str = "",
    max_tokens: int = 64,
    device: str = "auto",
    base: str | None = None,
    on_error: OnError | None = None,
) -> Finding[ProbeRow]:
    """Counts over greedy answers, a row for each model and language asked in; notes hold one answer of each that fails.

    `prompts` is a file (default: the shipped ones), `language` the one to answer in (default: that of each prompt),
    `base` that of an adapter. Raises UsageError for a language that cannot be told, and what loading raises.
    """
    from kaibo.recipes.probes.probing import probe as asked
    from kaibo.recipes.probes.probing import prompts_for

    require_training()
    questions = prompts_for(prompts, language)
    rows: list[ProbeRow] = []
    notes: list[str] = []
    for address in addresses(models):
        try:
            found, replies = asked(address, questions, max_tokens=max_tokens, device=device, base=base)
        except KaiboError as error:
            (on_error or raising)(error)
            continue
        rows += found
        for row in found:
            shown = next(reply for reply in replies if reply.asked == row.asked)
            notes += [] if row.answers else [f"{address}: asked {shown.prompt!r}, it says {shown.text[:120]!r}"]
    if rows:
        asked_of = f"{len(questions)} questions, greedy answers of at most {max_tokens} tokens; intervals in --json"
        notes.insert(0, asked_of)
    return Finding(PROBE, tuple(rows), tuple(notes), {"kaibo": __version__})
