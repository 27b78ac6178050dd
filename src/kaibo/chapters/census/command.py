"""`kaibo census`."""

from __future__ import annotations

from kaibo.desk import options
from kaibo.desk.answering import answering
from kaibo.desk.groups import grouped


@grouped
def command(
    models: options.Models,
    json: options.Json = False,
    *,
    reading: options.Measuring,
) -> None:
    """Read the weights once and count every value; nothing that the store knows is read again."""
    from kaibo.chapters.census.ask import census
    from kaibo.collect import progress_bar

    with answering("census", as_json=json) as answer, progress_bar() as progress:
        settings = reading.settings(progress)
        options.present(answer, census(models, settings=settings, on_error=answer.errors.append))
