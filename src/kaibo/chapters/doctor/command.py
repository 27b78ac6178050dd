"""`kaibo doctor`."""

from __future__ import annotations

from kaibo.desk import options
from kaibo.desk.answering import answering


def command(json: options.Json = False, store: options.StoreFolder = None) -> None:
    """Check versions, extras, fonts, the kernels' cache, workers and the store."""
    from kaibo.chapters.doctor.ask import doctor

    with answering("doctor", as_json=json) as answer:
        options.present(answer, doctor(store))
