"""Labels of tuned models as they are typed: `dataset=D0,seed=42`, with the model's address before them or in order."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches

from kaibo.chapters.diff.seeds import Label
from kaibo.errors import UsageError

NAMES = ("dataset", "seed")
EXAMPLE = "write --group dataset=D0,seed=42 once for each tuned model in order, or --group ADDRESS:dataset=D0,seed=42"

_TYPED = re.compile(r"(?:(?P<address>.+):)?(?P<labels>[^:=]+=[^=]*(?:=[^=]*)*)", re.DOTALL)


def labelled(texts: Sequence[str], models: Sequence[str]) -> dict[str, Label]:
    """The label of each model, from one text each.

    Either every text begins with the address of its model and a colon, or none does and they follow the order of
    the models. Raises UsageError for anything else: a model named twice or unknown, a label missing or misspelled.

    >>> labelled(["dataset=D0,seed=1", "dataset=D1,seed=1"], ["./a", "./b"])["./b"]
    Label(dataset='D1', seed='1')
    """
    parsed = [_parsed(text) for text in texts]
    named = [address for address, _ in parsed if address is not None]
    if named and len(named) < len(parsed):
        raise UsageError("some of --group name their model and some do not", next=EXAMPLE)
    if not named and len(parsed) not in (0, len(models)):
        message = f"{len(parsed)} of --group for {len(models)} tuned models"
        raise UsageError(message, next=EXAMPLE)
    for address in named:
        if address not in models:
            raise UsageError(f"--group {address} is none of the tuned models", next=_nearest(address, models))
        if named.count(address) > 1:
            raise UsageError(f"--group names {address} twice", next="label each model once")
    return dict(zip(named or models, (label for _, label in parsed), strict=False))


def _parsed(text: str) -> tuple[str | None, Label]:
    found = _TYPED.fullmatch(text)
    if found is None:
        raise UsageError(f'--group "{text}" is no label', next=EXAMPLE)
    values: dict[str, str] = {}
    for part in found["labels"].split(","):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if name not in NAMES or not equals or not value or name in values:
            raise UsageError(f'--group "{text}": {_fault(name, value, values)}', next=EXAMPLE)
        values[name] = value
    missing = [name for name in NAMES if name not in values]
    if missing:
        raise UsageError(f'--group "{text}" has no {missing[0]}', next=EXAMPLE)
    return found["address"], Label(values["dataset"], values["seed"])


def _fault(name: str, value: str, values: dict[str, str]) -> str:
    if name in values:
        return f"{name} stands twice"
    if name in NAMES:
        return f"{name} has no value"
    near = get_close_matches(name, NAMES, n=1)
    return f'no label "{name}"' + (f"; did you mean {near[0]}?" if near else f" ({', '.join(NAMES)})")


def _nearest(address: str, models: Sequence[str]) -> str:
    near = get_close_matches(address, models, n=1)
    return f"did you mean {near[0]}?" if near else f"they are {', '.join(models)}"
