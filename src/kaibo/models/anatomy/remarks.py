"""What the numbers of an architecture mean to somebody who wants to run it, in plain sentences."""

from __future__ import annotations

from kaibo.vocabulary import Architecture

GB, GIB = 10**9, 2**30
CARDS = (24, 80)
"""Memory in GB of a large card for a desk, and of one for a data centre."""


def remarks_on(drawn: Architecture) -> tuple[str, ...]:
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


def _memory(drawn: Architecture) -> str | None:
    if drawn.parameters is None:
        return None
    wide, narrow = drawn.weights_bytes["16"], drawn.weights_bytes["4"]
    for card in reversed(CARDS):
        if narrow <= card * GB < wide:
            return (
                f"At 4 bit the weights take {in_bytes(narrow)} and fit one {card} GB card; "
                f"in bf16 ({in_bytes(wide)}) they do not."
            )
    for card in CARDS:
        if wide <= card * GB:
            return f"In bf16 the weights take {in_bytes(wide)} and fit one {card} GB card."
    return f"Even at 4 bit the weights take {in_bytes(narrow)} and do not fit one {CARDS[-1]} GB card."


def _cache(drawn: Architecture) -> str | None:
    if drawn.layers is None or drawn.heads is None or drawn.head_size is None or drawn.context is None:
        return None
    kept = drawn.kv_bytes(drawn.context)
    if kept is None or drawn.cache_values is None:
        return None
    text = f"The cache of keys and values takes {_in_gib(kept)} at {drawn.context:,} tokens in fp16"
    many = 2 * drawn.heads * drawn.head_size
    if drawn.cache_values >= many or not drawn.cache_values:
        return f"{text}."
    if drawn.attention == "MLA":
        return f"{text}: a layer keeps {drawn.cache_values:,} numbers per token, not the {many:,} of its heads."
    return (
        f"{text}; with as many key heads as query heads it would be "
        f"{many / drawn.cache_values:.3g} times as large ({_in_gib(kept * many // drawn.cache_values)})."
    )


def _window(drawn: Architecture) -> str | None:
    if drawn.window is None or drawn.layers is None:
        return None
    return f"{drawn.windowed_layers} of {drawn.layers} layers look back {drawn.window:,} tokens only."


def _experts(drawn: Architecture) -> str | None:
    if drawn.experts is None or not drawn.parameters or drawn.active_parameters is None:
        return None
    share = drawn.active_parameters / drawn.parameters
    return (
        f"One token uses {drawn.experts.used} of {drawn.experts.count} experts: "
        f"{drawn.active_parameters:,} of {drawn.parameters:,} parameters ({share:.0%})."
    )


def _tied(drawn: Architecture) -> str | None:
    if not drawn.tied or "head" in drawn.parameters_by_role or drawn.family == "bert":
        return None
    return "The head is the embedding used again (tied), and is counted once."


def _stretch(drawn: Architecture) -> str | None:
    positions = drawn.positions
    if positions.scaling is None:
        return None
    by = "" if positions.factor is None else f" by {positions.factor:g}"
    from_ = "" if positions.original_context is None else f" from {positions.original_context:,} tokens"
    return f"Positions are stretched ({positions.scaling}){by}{from_}."
