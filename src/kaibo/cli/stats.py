"""`kaibo stats`."""

from __future__ import annotations

from kaibo.cli import options
from kaibo.cli.running import answering


def command(
    models: options.Models,
    by: options.Level = "model",
    json: options.Json = False,
    table: options.Export = None,
    figure: options.Picture = None,
    language: options.Language = "en",
    force: options.Force = False,
    store: options.StoreFolder = None,
    workers: options.Workers = None,
    verify: options.Verify = False,
    trust_shards: options.TrustShards = False,
    fail_fast: options.FailFast = False,
) -> None:
    """Moments, norms, tails, entropy and hidden grids of the weights."""
    from kaibo.collect import progress_bar
    from kaibo.verbs.stats import stats

    with answering("stats", as_json=json) as answer, progress_bar() as progress:
        settings = options.settings(store, workers, verify, trust_shards, fail_fast, progress)
        finding = stats(models, by, settings=settings, on_error=answer.errors.append)  # type: ignore[arg-type]
        options.export(finding, table, figure, language=language, force=force)
        options.present(answer, finding, language=language)
