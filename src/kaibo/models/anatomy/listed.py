"""Lists with an entry a layer and lists of layers: the config's own where they are whole, else by the family's rules.

A list that is there and wrong is never replaced by a rule, and neither is one whose rule needs a number that is wrong:
nothing is counted from it, and a sentence says why.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kaibo.errors import escaped
from kaibo.models.anatomy.conditions import names_in
from kaibo.models.anatomy.spellings import KINDS_OF_LAYERS, LEGACY, describe

if TYPE_CHECKING:
    from kaibo.models.anatomy.settings import Settings

Rules = tuple[tuple[str, tuple[str, ...]], ...]


def entries(settings: Settings, name: str, layers: int) -> tuple[str, ...] | None:
    """What stands for each layer; None where neither the config nor the family says it."""
    held = settings.reader.raw(name)
    if held is not None:
        return _given(settings, name, held, layers)
    rules = _rules(settings, name)
    if not rules:
        return None
    return tuple(
        next((value for value, condition in rules if settings.holds(*condition, layer=n, layers=layers)), "")
        for n in range(layers)
    )


def members(settings: Settings, name: str) -> frozenset[int] | None:
    """The layers that a list names; None where it names something else."""
    held, layers = settings.reader.raw(name), settings.depth
    if held is None:
        rules = _rules(settings, name)
        if rules is None:
            return None
        return frozenset(n for n in range(layers) for _, rule in rules if settings.holds(*rule, layer=n, layers=layers))
    if isinstance(held, list) and all(type(n) is int and 0 <= n < layers for n in held):
        return frozenset(held)
    settings.reader.note(name, held, f"a list of layers from 0 to {layers - 1}")
    return None


def _rules(settings: Settings, name: str) -> Rules | None:
    """The rules of the family, nothing where it has none; None where one needs a number that the config has wrong."""
    rules = settings.anatomy.lists.get(name, ()) if settings.anatomy else ()
    needed = {noun for _, condition in rules for noun in names_in(condition)}
    return None if needed & set(settings.reasons) else rules


def _given(settings: Settings, name: str, held: Any, layers: int) -> tuple[str, ...] | None:
    malformed = settings.reader.malformed
    odd = [entry for entry in held if not isinstance(entry, str | int)] if isinstance(held, list) else []
    if not isinstance(held, list) or len(held) != layers or odd:
        size = f" of {len(held)} entries" if isinstance(held, list) else ""
        length = f" that holds {describe(odd[0])}" if odd else size
        malformed[name] = (
            f'config.json: "{escaped(name)}" is {describe(held)}{length}, not a list with an entry for each '
            f"of {layers} layers"
        )
        return None
    found = tuple(LEGACY.get(str(entry), str(entry)) for entry in held)
    known = _words(settings, name)
    strange = next((entry for entry in dict.fromkeys(found) if known and entry not in known), None)
    if strange is None:
        return found
    malformed[name] = f'config.json: "{escaped(name)}" holds {describe(strange)}, which this family does not have'
    return None


def _words(settings: Settings, name: str) -> frozenset[str]:
    """The kinds of layers that may stand in a list whose rules or conditions are in words; nothing of other lists."""
    rules = settings.anatomy.lists.get(name, ()) if settings.anatomy else ()
    words = {value for value, _ in rules}
    return frozenset(words | KINDS_OF_LAYERS) if words and not any(word.isdigit() for word in words) else frozenset()
