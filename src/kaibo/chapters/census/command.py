"""`kaibo census`."""

from __future__ import annotations

from kaibo.desk import options
from kaibo.desk.answering import answering
from kaibo.desk.groups import grouped
from kaibo.desk.sharing import Sharing


@grouped
def command(
    models: options.Models,
    json: options.Json = False,
    *,
    reading: options.Measuring,
    sharing: Sharing,
) -> None:
    """Read the weights once and count every value; nothing that the store knows is read again."""
    from kaibo.chapters.census.ask import census
    from kaibo.collect import progress_bar
    from kaibo.desk.measuring import shared

    with answering("census", as_json=json) as answer, progress_bar() as progress:
        settings = reading.settings(progress)
        if sharing.done(answer, lambda part: shared(models, part, settings, answer.errors.append), settings):
            return
        options.present(answer, census(models, settings=settings, on_error=answer.errors.append))
