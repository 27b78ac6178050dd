"""Sizes as people write them."""

from __future__ import annotations

import re

from kaibo.errors import UsageError

UNITS = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3, "t": 1000**4, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}


def bytes_of(text: str, option: str) -> int:
    """So many bytes, above none. Raises UsageError, naming the option, for what is no size.

    >>> bytes_of("24GB", "--memory"), bytes_of("1.5 MiB", "--memory"), bytes_of("500m", "--memory")
    (24000000000, 1572864, 500000000)
    """
    found = re.fullmatch(
        r"((?:[0-9]++(?:\.[0-9]++)?+|\.[0-9]++)(?:e[0-9]{1,2})?)\s*+([kmgt]?i?)b?", text.strip().lower()
    )
    size = int(float(found[1]) * UNITS.get(found[2], 0)) if found else 0
    if size <= 0:
        raise UsageError(f'{option} "{text}" is no size', next="write it as 500MB, 24GB or 16GiB")
    return size
