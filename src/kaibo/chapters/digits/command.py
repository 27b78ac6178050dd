"""`kaibo digits`."""

from __future__ import annotations

from kaibo.desk import options
from kaibo.desk.answering import answering
from kaibo.desk.groups import grouped


@grouped
def command(
    models: options.Models,
    by: options.Level = "model",
    json: options.Json = False,
    table: options.Export = None,
    figure: options.Picture = None,
    language: options.Language = "en",
    force: options.Force = False,
    *,
    reading: options.Measuring,
) -> None:
    """First digits of the weights against Benford's law, with two nulls beside it.

    The law says that the first digit d has the share log10(1 + 1/d). MAE is the mean over the nine digits of
    |share - law|; the same distance is given for Gaussian weights with the same spread.
    """
    from kaibo.chapters.digits.ask import digits
    from kaibo.collect import progress_bar

    with answering("digits", as_json=json) as answer, progress_bar() as progress:
        settings = reading.settings(progress)
        finding = digits(models, by, settings=settings, on_error=answer.errors.append)  # type: ignore[arg-type]
        options.export(finding, table, figure, language=language, force=force)
        options.present(answer, finding, language=language)
