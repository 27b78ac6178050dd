"""Names in, positions out: which layer a tensor belongs to and what it is for.

Names come from strangers. Matching walks the dotted parts of a name down a tree once, so its time is linear in
the length of the name, and it answers for any text whatever.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import pairwise
from types import MappingProxyType
from typing import Any

from kaibo.models.anatomy.catalogue import (
    EVERYWHERE,
    GENERATED,
    MODEL_TYPES,
    UNKNOWN,
    Family,
    Kind,
    families,
    family,
    family_name,
    generated_families,
)
from kaibo.models.anatomy.settings import texts_in
from kaibo.models.anatomy.spellings import ending_of
from kaibo.models.anatomy.wholes import TEXT, belongs, stacks_of, text_family

OTHER = "other"
BUFFER = "buffer"
_DEEPEST = 24  # parts of a name that are looked at; the deepest name of the known families has eight
_LAYER_DIGITS = 6
_LAYER_WORDS = frozenset({"layers", "layer", "h", "blocks", "block", "decoder_layers", "encoder_layers"})
_OTHER_TOWERS = ("vision", "visual", "audio", "multi_modal", "image")


@dataclass(frozen=True, slots=True)
class Position:
    """Where a tensor stands: its canonical name, its block number (None outside the blocks) and its role."""

    canonical: str
    layer: int | None
    role: str


@dataclass(frozen=True)
class Place:
    """Where the tensors of one part are: what they begin with, their family, the part's name."""

    prefix: str
    family: str
    stack: str


_AHEAD = frozenset({"eh_proj", "enorm", "hnorm", "shared_head"})
"""Parts of names that predict several tokens ahead, as are those that begin with `mtp`: files hold them, transformers
leaves them out.

Source: github.com/deepseek-ai/DeepSeek-V3: README_WEIGHTS.md (Multi-Token Prediction Modules).
"""


@dataclass(frozen=True)
class Anatomy:
    """How the tensors of one model are placed.

    `family` is the name of the anatomy, `unknown` where none fits; `layout` says how its fused and transposed
    tensors are laid out. `shared` are the bare names that two tensors of the model would both get: those keep
    their full names, so that canonical names of one model never collide.
    """

    family: str
    layout: Mapping[str, Any] = field(default_factory=dict)
    shared: frozenset[str] = frozenset()
    parts: tuple[Place, ...] = ()

    def place(self, name: str) -> Position:
        """The position of a tensor, for any name: role `other` where the anatomy does not know it.

        >>> anatomy_for({"model_type": "llama"}, ()).place("model.layers.31.self_attn.q_proj.weight")
        Position(canonical='layers.31.self_attn.q_proj.weight', layer=31, role='attention.q')
        """
        inside = _within(name, self.parts) if self.parts else None
        if inside is not None and not (inside.canonical in self.shared and inside.layer is not None):
            return inside
        bare = _bare(name, _prefixes(self.family))
        canonical = name if bare in self.shared else bare
        parts = bare.split(".", _DEEPEST)
        if self.family != UNKNOWN:
            kind, layer = _found(_tree(self.family), parts)
            if kind is not None:
                return Position(canonical, layer, kind.role)
            if any(part in _AHEAD or part.startswith("mtp") for part in parts):
                return Position(canonical, _generic_layer(parts), "mtp")
        return Position(canonical, _generic_layer(parts), OTHER)


def anatomy_for(config: Mapping[str, Any], names: Iterable[str]) -> Anatomy:
    """The anatomy of a model from its `config.json` (`model_type`, then `architectures`), else from tensor names.

    Never fails: a model that no anatomy describes gets the family `unknown`.
    """
    kept = tuple(names)
    found = family_of(config) or _family_by_names(kept) or UNKNOWN
    layout = MappingProxyType({}) if found == UNKNOWN else family(found).layout
    anatomy = Anatomy(found, layout, parts=_places(config))
    bare = Counter(anatomy.place(name).canonical for name in set(kept))
    return replace(anatomy, shared=frozenset(name for name, count in bare.items() if count > 1))


def _places(config: Mapping[str, Any]) -> tuple[Place, ...]:
    """The parts of a model of several, the longest beginning first."""
    found = {(stack.prefix, stack.family.name): stack.name for stack in stacks_of(config)}
    places = [Place(prefix, name, stack) for (prefix, name), stack in found.items()]
    return tuple(sorted(places, key=lambda place: -len(place.prefix)))


def _within(name: str, places: tuple[Place, ...]) -> Position | None:
    """The position of a tensor in the part that it begins like; None where no part knows it."""
    whole = _bare(name, EVERYWHERE)
    for place in places:
        for prefix in dict.fromkeys((place.prefix, place.prefix.removeprefix("model."))):
            if not whole.startswith(prefix) or len(whole) == len(prefix):
                continue
            bare = _bare(whole[len(prefix) :], _prefixes(place.family))
            kind, layer = _found(_tree(place.family), bare.split(".", _DEEPEST))
            if kind is None:
                continue
            stack = place.stack if not family(place.family).parts else belongs(kind.name, kind.role)
            if stack == TEXT:
                return Position(bare, layer, kind.role)
            return Position(whole.removeprefix("model."), None, f"{stack}.{kind.role}")
    return None


def family_of(config: Mapping[str, Any]) -> str | None:
    """The family that a `config.json` names, None where it names none that we know.

    Of a model of several parts the family of its language model.

    >>> family_of({"architectures": ["GPTNeoXForCausalLM"]})
    'gpt_neox'
    """
    inside: str | None = None
    for part in reversed((config, *texts_in(config))):
        model_type = part.get("model_type")
        name = family_name(model_type) if isinstance(model_type, str) else None
        if name is not None and not family(name).parts:
            return name
        inside = inside or (text_family(family(name)) if name is not None else None)
    if inside is not None:
        return inside
    known = {name.replace("_", "").lower(): found for name, found in MODEL_TYPES.items()}
    classes = config.get("architectures")
    for name in classes[:8] if isinstance(classes, list) else ():
        if isinstance(name, str) and len(name) < 200:
            stem = name.removesuffix(ending_of(name) or "").lower()
            if stem in known:
                return known[stem]
    return None


def _prefixes(name: str) -> tuple[str, ...]:
    return EVERYWHERE if name == UNKNOWN else family(name).prefixes


def _bare(name: str, prefixes: tuple[str, ...]) -> str:
    """The name without its prefixes, however many were put before it: taking them off again changes nothing."""
    begin = 0
    while True:
        length = next((len(prefix) for prefix in prefixes if name.startswith(prefix, begin)), 0)
        if length == 0 or begin + length == len(name):
            return name[begin:]
        begin += length


Tree = dict[str, Any]
_NUMBER, _END = "{}", ""


@cache
def _tree(name: str) -> Tree:
    root: Tree = {}
    for kind in family(name).kinds:
        node = root
        for part in kind.name.split("."):
            node = node.setdefault(_NUMBER if part in ("{layer}", "{expert}") else part, {})
        node.setdefault(_END, kind)  # of two kinds with one name (other shapes, other conditions) the first places it
    return root


def _found(tree: Tree, parts: list[str]) -> tuple[Kind | None, int | None]:
    node, numbers = tree, []
    for part in parts:
        number = _number(part)
        following = node.get(part) if part not in (_END, _NUMBER) else None
        if following is None and number is not None:
            following = node.get(_NUMBER)
            numbers.append(number)
        if following is None:
            return None, None
        node = following
    kind: Kind | None = node.get(_END)
    return kind, numbers[0] if kind is not None and "{layer}" in kind.name else None


def _number(part: str) -> int | None:
    return int(part) if len(part) <= _LAYER_DIGITS and part.isascii() and part.isdigit() else None


def _generic_layer(parts: list[str]) -> int | None:
    if parts[0].startswith(_OTHER_TOWERS):  # the blocks of a vision part are not those of the language model
        return None
    for word, part in pairwise(parts):
        if word in _LAYER_WORDS and _number(part) is not None:
            return _number(part)
    return None


def _family_by_names(names: tuple[str, ...]) -> str | None:
    """The family whose kinds cover most of the name patterns of a model, if more than half of them.

    Of several one without experts where no expert is seen, then the one with the fewest kinds unseen that it
    always has, then the one with the most seen, then the plainest.
    """
    found = _nearest(names, families())
    return None if found is None else found[0]


def nearest_family(names: Iterable[str]) -> tuple[str, float] | None:
    """Of all families that are known the one whose names cover most of these, and the share; None under a half.

    It says what a model that no family describes is like, and no more: its cache may be another.
    """
    found = _nearest(tuple(names), (*families(), *generated_families()))
    return None if found is None else (found[0].removeprefix(GENERATED), found[1])


def _nearest(names: tuple[str, ...], among: tuple[str, ...]) -> tuple[str, float] | None:
    patterns = {".".join("0" if _number(part) is not None else part for part in _short(name)) for name in names}
    scores = {name: _score(family(name), patterns) for name in among if not family(name).layered}
    best = max(scores, key=lambda name: scores[name])
    return (best, scores[best][0] / len(patterns)) if scores[best][0] * 2 > len(patterns) else None


def _short(name: str) -> list[str]:
    return name[:2000].split(".", _DEEPEST)


def _score(anatomy: Family, patterns: set[str]) -> tuple[int, bool, int, int]:
    tree = _tree(anatomy.name)
    found = [_found(tree, _bare(pattern, anatomy.prefixes).split(".", _DEEPEST)) for pattern in patterns]
    seen = {kind.name for kind, _ in found if kind is not None}
    always = {kind.name for kind in anatomy.kinds if kind.shape is not None and not kind.conditions}
    covered = sum(kind is not None for kind, _ in found) if any(layer is not None for _, layer in found) else 0
    experts = {kind.name for kind in anatomy.kinds if kind.role.startswith(("expert", "router"))}
    return covered, not experts or bool(experts & seen), -len(always - seen), len(always & seen)
