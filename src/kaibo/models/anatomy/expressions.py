"""The little formulas of the anatomy files: sums and differences of products, such as `heads*head_size+2*kv_heads`.

They are our own data, never a stranger's, and there is nothing in them but names, whole numbers and + − * / |, where
/ rounds down and | up, and ^2 squares what stands before it in its product. A name with a point is that of a part's
config.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

_PIECES = re.compile(r"[+\-*/|^]|[a-z_][a-z0-9_.]*|[0-9]+")


@cache
def _pieces(formula: str) -> tuple[str, ...]:
    pieces = tuple(_PIECES.findall(formula))
    if "".join(pieces) != formula:
        raise ValueError(f"the anatomy's formula {formula!r} has something else than names, numbers and + - * / |")
    return pieces


def nouns(formula: str) -> frozenset[str]:
    """The names a formula needs.

    >>> sorted(nouns("heads*head_size+2*kv_heads"))
    ['head_size', 'heads', 'kv_heads']
    """
    return frozenset(piece for piece in _pieces(formula) if piece[0].isalpha() or piece[0] == "_")


def evaluate(formula: str, values: Mapping[str, int | float]) -> int | None:
    """The value of a formula, / rounding down as the modelling code does; None for a missing name or a zero divisor.

    >>> evaluate("heads*head_size+2*kv_heads*head_size", {"heads": 8, "kv_heads": 2, "head_size": 64})
    768
    """
    total: float
    term: float
    total, term, sign, operation = 0, 1, 1, "*"
    for piece in _pieces(formula):
        if piece in "+-":
            total, term, sign, operation = total + sign * term, 1, 1 if piece == "+" else -1, "*"
        elif piece in "*/|^":
            operation = piece
        else:
            value = int(piece) if piece[0].isdigit() else values.get(piece)
            if value is None or (operation != "*" and value == 0):
                return None
            if operation == "^":
                term = term ** min(value, 4)
                continue
            term = term * value if operation == "*" else term // value if operation == "/" else -(-term // value)
    return int(total + sign * term)
