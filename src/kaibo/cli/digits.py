"""`kaibo digits`."""

from __future__ import annotations

from kaibo.cli import options
from kaibo.cli.groups import grouped
from kaibo.cli.running import answering


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
    reading: options.Reading,
) -> None:
    """First digits of the weights against Benford's law, with two nulls beside it.

    The law says that the first digit d has the share log10(1 + 1/d). MAE is the mean over the nine digits of
    |share - law|; the same distance is given for Gaussian weights with the same spread.
    """
    from kaibo.collect import progress_bar
    from kaibo.verbs.digits import digits

    with answering("digits", as_json=json) as answer, progress_bar() as progress:
        settings = reading.settings(progress)
        finding = digits(models, by, settings=settings, on_error=answer.errors.append)  # type: ignore[arg-type]
        options.export(finding, table, figure, language=language, force=force)
        options.present(answer, finding, language=language)
