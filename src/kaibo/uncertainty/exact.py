"""Exact tests of two sides that should be right, or higher, equally often."""

from __future__ import annotations


def sign_test(first: int, second: int) -> float:
    """Two-sided p of so uneven a count if each of the two were as likely every time: McNemar's exact test (1947).

    >>> sign_test(0, 0), sign_test(5, 0)
    (1.0, 0.0625)
    """
    from scipy.special import bdtr

    total = first + second
    return min(1.0, 2 * float(bdtr(min(first, second), total, 0.5))) if total else 1.0
