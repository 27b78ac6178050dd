"""Settings in, the parameters of the layers that predict further tokens out: files hold them beside the model's own.

The table is `ahead.toml`, written by hand, each row with its source; a family that is not in it says nothing.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

from kaibo.models.anatomy.catalogue import GENERATED, Family
from kaibo.models.anatomy.counting import sizes_of
from kaibo.models.anatomy.expressions import evaluate
from kaibo.models.anatomy.settings import Settings


def parameters_ahead(family: Family, settings: Settings) -> int | None:
    """The values of all such layers; None where the config counts none or the family is not in the table."""
    rule = rules().get(family.name.removeprefix(GENERATED))
    keys = rule["count"] if rule else ()
    count = next((found for key in keys if (found := settings.reader.count(key, least=0, most=1000))), None)
    if rule is None or count is None:
        return None
    one = [*_sizes(rule.get("tensors", ()), settings), *_last(family, settings)]
    once = _sizes(rule.get("once", ()), settings)
    return count * sum(one) + sum(once)


@cache
def rules() -> Mapping[str, Mapping[str, Any]]:
    """The rows of `ahead.toml` by family, read once from the package's data."""
    text = resources.files(__package__).joinpath("ahead.toml").read_text(encoding="utf-8")
    return {name: rule for rule in tomllib.loads(text)["ahead"] for name in rule["families"]}


def _sizes(rows: Sequence[Sequence[str]], settings: Settings) -> list[int]:
    return [math.prod(evaluate(axis, settings.dimensions) or 0 for axis in shape.split()) for _, shape in rows]


def _last(family: Family, settings: Settings) -> Iterator[int]:
    """The sizes of the tensors in the last layer, of experts all."""
    for kind in family.kinds:
        if kind.shape is not None and "{layer}" in kind.name:
            layers = evaluate(kind.layers, settings.dimensions) or 0
            if layers and settings.holds(*kind.conditions, layer=layers - 1, layers=layers):
                yield sizes_of(kind, settings, layers - 1)[0]
