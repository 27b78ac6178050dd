"""`kaibo doctor`."""

from __future__ import annotations

from kaibo.cli import options
from kaibo.cli.running import answering


def command(json: options.Json = False, store: options.StoreFolder = None) -> None:
    """Check versions, extras, fonts, the kernels' cache, workers and the store."""
    from kaibo.verbs.doctor import doctor

    with answering("doctor", as_json=json) as answer:
        options.present(answer, doctor(store))
