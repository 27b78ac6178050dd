"""Numbers written for reading: rounded, with the unit a reader expects in the language."""

from __future__ import annotations

import math
from collections.abc import Sized

BYTES = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
THOUSANDS = {
    "en": ((1e12, " trillion"), (1e9, " billion"), (1e6, " million")),
    "ja": ((1e12, "兆"), (1e8, "億"), (1e4, "万")),
}


def rounded(value: float | None, digits: int = 3) -> str:
    """Three significant digits without an exponent where that stays short; `-` for what is missing.

    >>> rounded(12.5512), rounded(0.0000123), rounded(1234567.0), rounded(None), rounded(7.0)
    ('12.6', '1.23e-05', '1,234,567', '-', '7')
    """
    if value is None or not math.isfinite(value):
        return "-" if value is None or math.isnan(value) else "∞" if value > 0 else "−∞"
    if abs(value) >= 10 ** (digits - 1):
        return f"{value:,.0f}"
    return f"{value:.{digits}g}"


def percent(share: float | None) -> str:
    """A fraction as a percentage.

    >>> percent(0.3019), percent(0.0), percent(2e-9), percent(1.0)
    ('30.2 %', '0 %', '0.0000002 %', '100 %')
    """
    if share is None or not math.isfinite(share):
        return "-"
    points = 100 * share
    if points == 0 or abs(points) >= 0.01:
        return f"{points:.3g} %"
    decimals = min(12, 1 - math.floor(math.log10(abs(points))))
    text = f"{points:.{decimals}f}".rstrip("0").rstrip(".")
    return f"{text} %" if text not in ("0", "-0") else f"{points:.1e} %"


def bytes_in_words(size: float | None) -> str:
    """A number of bytes in binary units.

    >>> bytes_in_words(512), bytes_in_words(2 * 2**30), bytes_in_words(None)
    ('512 B', '2.00 GiB', '-')
    """
    if size is None:
        return "-"
    step = 0 if size < 1024 else min(int(math.log2(size) // 10), len(BYTES) - 1)
    if step == 0:
        return f"{size:,.0f} B"
    value = size / 1024**step
    return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f} {BYTES[step]}"


def count_in_words(count: float | None, language: str = "en") -> str:
    """A count as one says it: 6.74 billion, 67.4億.

    >>> count_in_words(6_738_415_616), count_in_words(6_738_415_616, "ja"), count_in_words(22_713_216, "ja")
    ('6.74 billion', '67.4億', '2,271万')
    >>> count_in_words(4096), count_in_words(1)
    ('4,096', '1')
    """
    if count is None:
        return "-"
    size, name = count_unit(count, language)
    value = count / size
    return f"{value:,.0f}" if not name else f"{value:.3g}{name}" if value < 1000 else f"{value:,.0f}{name}"


def count_unit(count: float, language: str = "en") -> tuple[float, str]:
    """The unit in which a count is said, and its name: (1e9, " billion"), (1e4, "万"), or (1.0, "") for small ones."""
    for size, name in THOUSANDS[language]:
        if count >= max(size, 1e5):
            return size, name
    return 1.0, ""


def further(of: Sized, shown: int) -> str:
    """What stands behind the first few of a list: how many more there are.

    >>> further("abcdefg", 5), further("abc", 5)
    (' … (+2)', '')
    """
    return f" … (+{len(of) - shown})" if len(of) > shown else ""
