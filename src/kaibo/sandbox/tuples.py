"""Which lists of MBPP+'s arguments stand for tuples, sets or complex numbers, which JSON cannot write.

The list of problems is EvalPlus's (evalplus/data/mbpp.py, Apache-2.0): each line here is one way to read arguments.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Reading = Callable[[list[Any]], Any]


def _rows(value: list[Any]) -> list[Any]:
    return [tuple(each) for each in value]


def _all(value: Any) -> Any:
    return tuple(_all(each) for each in value) if isinstance(value, list) else value


def _some(value: list[Any]) -> list[Any]:
    return [tuple(each) if isinstance(each, list) else each for each in value]


READINGS: tuple[tuple[tuple[int, ...], Reading], ...] = (
    (
        (2, 116, 132, 143, 222, 261, 273, 394, 399, 421, 424, 429, 470, 560, 579, 596, 616, 630, 726, 740, 744, 809),
        lambda given: [tuple(each) for each in given],
    ),
    (
        (63, 64, 70, 94, 120, 237, 272, 299, 400, 409, 417, 438, 473, 614, 780),
        lambda given: [_rows(each) for each in given],
    ),
    ((75, 413, 444, 753), lambda given: [_rows(given[0]), given[1]]),
    ((106, 750), lambda given: [given[0], tuple(given[1])]),
    ((115,), lambda given: [[set(each) if isinstance(each, list) and each else {} for each in given[0]]]),
    ((124,), lambda given: [float(given[0]), complex(given[1])]),
    ((250, 405, 446, 617, 720, 763, 808), lambda given: [tuple(given[0]), given[1]]),
    ((259, 401, 445), lambda given: [tuple(tuple(row) for row in each) for each in given]),
    ((278,), lambda given: [tuple(_some(given[0]))]),
    ((307,), lambda given: [tuple(given[0]), given[1], given[2]]),
    ((722,), lambda given: [{key: tuple(value) for key, value in given[0].items()}, *given[1:]]),
    ((252,), lambda given: [complex(given[0])]),
    ((580, 615, 791), lambda given: list(_all(given))),
)


def with_tuples(name: str, given: list[list[Any]]) -> list[list[Any]]:
    """The arguments of a problem such as `Mbpp/75`, as its reference means them."""
    number = name.rpartition("/")[2]
    reading = next((read for numbers, read in READINGS if number.isdecimal() and int(number) in numbers), None)
    return given if reading is None else [reading(each) for each in given]
