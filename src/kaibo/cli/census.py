"""`kaibo census`."""

from __future__ import annotations

from kaibo.cli import options
from kaibo.cli.running import answering


def command(
    models: options.Models,
    json: options.Json = False,
    store: options.StoreFolder = None,
    workers: options.Workers = None,
    verify: options.Verify = False,
    trust_shards: options.TrustShards = False,
    fail_fast: options.FailFast = False,
) -> None:
    """Read the weights once and count every value; nothing that the store knows is read again."""
    from kaibo.collect import progress_bar
    from kaibo.verbs.census import census

    with answering("census", as_json=json) as answer, progress_bar() as progress:
        settings = options.settings(store, workers, verify, trust_shards, fail_fast, progress)
        options.present(answer, census(models, settings=settings, on_error=answer.errors.append))
