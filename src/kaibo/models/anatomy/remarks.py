"""What the numbers of an architecture mean to somebody who wants to run it, in plain sentences."""

from __future__ import annotations

from kaibo.vocabulary import Architecture
from kaibo.words import Note, note

GB, GIB = 10**9, 2**30
CARDS = (24, 80)
"""Memory in GB of a large card for a desk, and of one for a data centre."""


def remarks_on(drawn: Architecture) -> tuple[Note, ...]:
    """Sentences on memory, cache, experts and context, each computed from the numbers beside it."""
    said = (_memory(drawn), _cache(drawn), _window(drawn), _experts(drawn), _tied(drawn), _stretch(drawn))
    return tuple(sentence for sentence in said if sentence)


def in_bytes(size: int) -> str:
    """A size as people say it, in powers of ten.

    >>> in_bytes(34_488_324_096), in_bytes(137_953_296_384), in_bytes(45_427_456)
    ('34.5 GB', '138 GB', '45.4 MB')
    """
    amount, unit = (size / GB, "GB") if size >= GB else (size / 10**6, "MB")
    return f"{amount:,.0f} {unit}" if amount >= 99.95 else f"{amount:.1f} {unit}"


def _in_gib(size: int) -> str:
    return f"{size / GIB:,.2f} GiB" if size >= GIB / 8 else f"{size / 2**20:,.2f} MiB"


def _memory(drawn: Architecture) -> Note | None:
    if drawn.parameters is None:
        return None
    wide, narrow = drawn.weights_bytes["16"], drawn.weights_bytes["4"]
    for card in reversed(CARDS):
        if narrow <= card * GB < wide:
            return note("memory_between", narrow=in_bytes(narrow), card=card, wide=in_bytes(wide))
    for card in CARDS:
        if wide <= card * GB:
            return note("memory_fits", wide=in_bytes(wide), card=card)
    return note("memory_never", narrow=in_bytes(narrow), card=CARDS[-1])


def _cache(drawn: Architecture) -> Note | None:
    if drawn.layers is None or drawn.heads is None or drawn.head_size is None or drawn.context is None:
        return None
    kept = drawn.kv_bytes(drawn.context)
    if kept is None or drawn.cache_values is None:
        return None
    cache = {"size": _in_gib(kept), "tokens": f"{drawn.context:,}"}
    many = 2 * drawn.heads * drawn.head_size
    if drawn.cache_values >= many or not drawn.cache_values:
        return note("cache", **cache)
    if drawn.attention == "MLA":
        return note("cache_latent", **cache, kept=f"{drawn.cache_values:,}", many=f"{many:,}")
    times, whole = f"{many / drawn.cache_values:.3g}", _in_gib(kept * many // drawn.cache_values)
    return note("cache_many", **cache, times=times, many=whole)


def _window(drawn: Architecture) -> Note | None:
    if drawn.window is None or drawn.layers is None:
        return None
    return note("window", count=drawn.windowed_layers, layers=drawn.layers, window=f"{drawn.window:,}")


def _experts(drawn: Architecture) -> Note | None:
    if drawn.experts is None or not drawn.parameters or drawn.active_parameters is None:
        return None
    share = drawn.active_parameters / drawn.parameters
    return note(
        "experts",
        used=drawn.experts.used,
        count=drawn.experts.count,
        active=f"{drawn.active_parameters:,}",
        all=f"{drawn.parameters:,}",
        share=f"{share:.0%}",
    )


def _tied(drawn: Architecture) -> Note | None:
    if not drawn.tied or "head" in drawn.parameters_by_role or drawn.family == "bert":
        return None
    return note("tied")


def _stretch(drawn: Architecture) -> Note | None:
    positions = drawn.positions
    if positions.scaling is None:
        return None
    values = {"kind": positions.scaling}
    if positions.factor is not None:
        values["factor"] = f"{positions.factor:g}"
    if positions.original_context is not None:
        values["tokens"] = f"{positions.original_context:,}"
    told = "_".join(name for name in values if name != "kind")
    return note(f"stretch_{told}" if told else "stretch", **values)
