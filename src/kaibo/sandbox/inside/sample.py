"""The program that holds one sample: loads its code, calls what it is told to call, gives back plain values.

It learns names and arguments, one call at a time, and never a value that is expected. Whatever the sample does to this
process (patching, walking frames, writing to the channel itself), all it can do is give values back.
"""

import builtins
import types
from collections.abc import Callable
from typing import Any

from kaibo.sandbox.inside.channel import opened
from kaibo.sandbox.inside.plain import TooMuch, read, written

DOINGS: dict[str, Callable[..., Any]] = {
    "getattr": getattr,
    "setattr": setattr,
    "len": len,
    "item": lambda held, key: held[key],
    "all": list,
    "str": str,
    "bool": bool,
}
"""What can be done to an object that stays here, beside calling it."""

MUTABLE = (list, dict, set, bytearray)
ERRORS = {kind for kind in vars(builtins).values() if isinstance(kind, type) and issubclass(kind, BaseException)}


def main(plan: dict[str, Any]) -> None:
    """Serve until kaibo hangs up."""
    channel = opened(plan)
    module = types.ModuleType("sample")
    objects: list[Any] = []

    def keep(value: Any) -> int:
        objects.append(value)
        return len(objects) - 1

    def answer(word: str, text: str) -> str:
        if word == "load":
            exec(compile(read(text), "<sample>", "exec"), vars(module))
            return "null"
        how, target, given, named = read(text, lambda number, _kind: objects[number])
        value = _function(how, target, module)(*given, **named)
        changed = given if value is None and any(isinstance(each, MUTABLE) for each in given) else None
        return written((value, changed), keep)

    import sys

    sys.modules["sample"] = module
    while True:
        word, text = channel.hear()
        try:
            found = ("value", answer(word, text))
        except MemoryError:
            found = ("memory", "")
        except TooMuch:
            found = ("output", "")
        except BaseException as error:  # noqa: BLE001 - whatever a sample raises is an answer
            found = ("raised", _described(error))
        channel.say(*found)


def _function(how: str, target: Any, module: types.ModuleType) -> Callable[..., Any]:
    if how == "do":
        return DOINGS[target]
    if how == "name":
        if target not in vars(module):
            raise NameError(f"name {target!r} is not defined")
        target = vars(module)[target]
    return target  # type: ignore[no-any-return]  # what is called decides


def _described(error: BaseException) -> str:
    """(the nearest built-in class, its own class, what it says) as text."""
    nearest = next(kind for kind in type.mro(type(error)) if kind in ERRORS)
    try:
        says = "".join(str.__iter__(str(error)))[:300]
    except BaseException:  # noqa: BLE001 - its __str__ is the sample's too
        says = ""
    return written((nearest.__name__, str(type(error).__name__)[:80], says))
