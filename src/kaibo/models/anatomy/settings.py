"""A stranger's `config.json` in, settings out: counts and yes/no under the names that the anatomy uses.

Nothing here raises for what a config says. A setting that is missing or wrong is left out; `reasons` says why, and
`malformed` has a sentence for each key that is there but holds what it must not.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from kaibo.errors import escaped
from kaibo.models.anatomy.catalogue import Family, Sources
from kaibo.models.anatomy.conditions import by_layer, holds
from kaibo.models.anatomy.expressions import evaluate, nouns
from kaibo.models.anatomy.listed import entries, members
from kaibo.models.anatomy.spellings import MOST_LAYERS, describe, ending_of, spelled_out

LARGEST = 2**32
COMMON: Mapping[str, Sources] = {
    "vocabulary": ("vocab_size",),
    "hidden": ("hidden_size", "n_embd", "d_model"),
    "layers": ("num_hidden_layers", "n_layer", "n_layers", "num_layers"),
    "heads": ("num_attention_heads", "n_head", "n_heads"),
    "kv_heads": ("num_key_value_heads",),
    "head_size": ("head_dim",),
    "intermediate": ("intermediate_size", "n_inner", "ffn_dim", "d_ff"),
    "context": ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "seq_length"),
}
"""Where most configs keep the common numbers: all that is read of a family without an anatomy, nothing inferred."""


@dataclass
class Reader:
    """Reads one config, keeping a sentence for each key that is wrong."""

    config: Mapping[str, Any]
    malformed: dict[str, str] = field(default_factory=dict)

    def raw(self, key: str) -> Any:
        """What stands under a key, `a.b` for a nested one; None where nothing does."""
        value: Any = self.config
        for part in key.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        return value

    def count(self, key: str, least: int = 1, most: int = LARGEST) -> int | None:
        """A whole number of things."""
        value = self.raw(key)
        whole = isinstance(value, int) and not isinstance(value, bool)
        if whole and least <= value <= most:
            return int(value)
        self.note(key, value, f"a number from {least} to {most}" if whole else "a whole number")
        return None

    def number(self, key: str) -> float | None:
        """A finite number."""
        return self.checked_number(key, self.raw(key))

    def checked_number(self, key: str, value: Any) -> float | None:
        """The value as a float, noting under `key` where it is not a finite number."""
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63:
            return float(value)
        if isinstance(value, float) and math.isfinite(value):
            return value
        self.note(key, value, "a finite number")
        return None

    def flag(self, key: str) -> bool | None:
        """True or false."""
        value = self.raw(key)
        if isinstance(value, bool):
            return value
        self.note(key, value, "true or false")
        return None

    def text(self, key: str) -> str | None:
        """A short text, escaped."""
        value = self.raw(key)
        if isinstance(value, str):
            return escaped(value, 200)
        self.note(key, value, "a text")
        return None

    def note(self, key: str, value: Any, expected: str) -> None:
        """Keeps a sentence where a key holds what it must not; null is as if it were not there."""
        if value is not None:
            self.malformed[key] = f'config.json: "{escaped(key)}" is {describe(value)}, not {expected}'


@dataclass(frozen=True)
class Settings:
    """What a config says, in the anatomy's words.

    `purpose` is the ending of the model class (`ForCausalLM` …). `sparse` has an entry per layer: whether its
    feed-forward part is a choice of experts. `reasons` says, by dimension, why it is not there.
    """

    reader: Reader
    dimensions: Mapping[str, Any]
    flags: Mapping[str, bool]
    sparse: tuple[bool, ...]
    reasons: Mapping[str, str]

    anatomy: Family | None = None

    def holds(self, *condition: str, layer: int = 0, layers: int = 1) -> bool:
        """Whether all words of a condition hold, in a layer where they depend on one."""
        return holds(condition, self, layer, layers)

    def times(self, condition: tuple[str, ...], layers: int) -> int:
        """In how many of so many layers a condition holds."""
        if not by_layer(condition):
            return layers * self.holds(*condition)
        key = (condition, layers)
        if key not in self._times:
            self._times[key] = sum(self.holds(*condition, layer=n, layers=layers) for n in range(layers))
        return self._times[key]

    def truth(self, name: str, layer: int | None) -> bool:
        """Whether a flag is set or a dimension is not zero; whether a layer is `sparse` or `dense`."""
        if name in ("sparse", "dense"):
            here = layer is not None and layer < len(self.sparse) and self.sparse[layer]
            return here if name == "sparse" else not here
        return self.flags.get(name, False) or self.dimensions.get(name, 0) > 0

    def size(self, name: str) -> int:
        """A dimension, 0 where it is not known."""
        return int(self.dimensions.get(name, 0))

    def values(self, layer: int = 0) -> Mapping[str, Any]:
        """The numbers and flags that formulas know, with those that this layer has of its own."""
        own = {name: self._own(key, layer) for name, key in (self.anatomy.layered if self.anatomy else {}).items()}
        return {**self.flags, **self.dimensions, **{name: size for name, size in own.items() if size is not None}}

    @cached_property
    def depth(self) -> int:
        """How many layers there are: where the config only lists them, as many as it lists; 0 where it is not known."""
        kinds = self.anatomy.kinds if self.anatomy else ()
        return evaluate(next((kind.layers for kind in kinds if "{layer}" in kind.name), "layers"), self.dimensions) or 0

    def _own(self, key: str, layer: int) -> int | None:
        entry = self.entry(key, layer, self.depth)
        return int(entry) if entry is not None and entry.isdigit() and len(entry) < 10 else None

    def text(self, name: str) -> str:
        """A text of the config, empty where there is none, or where a list belongs."""
        value = self.reader.raw(name)
        return value if isinstance(value, str) and not (self.anatomy and name in self.anatomy.lists) else ""

    def members(self, name: str) -> frozenset[int]:
        """The layers that a list of the config names; none, and `unsaid`, where it names them wrongly."""
        if name not in self._members:
            found = members(self, name)
            self._members[name] = found or frozenset()
            self.unsaid.update(() if found is not None else (name,))
        return self._members[name]

    def entry(self, name: str, layer: int, layers: int) -> str | None:
        """What a list with an entry a layer has for one; None where neither the config nor the family says."""
        held = self.list_of(name, layers)
        if held is None and not self.text(name):
            self.unsaid.add(name)  # neither the config nor the family says: nothing is counted from it
        return held[layer] if held is not None and layer < len(held) else None

    def list_of(self, name: str, layers: int) -> tuple[str, ...] | None:
        """A list with an entry a layer, from the config, else by the family's rules; see `lists`."""
        key = (name, layers)
        if key not in self._lists:
            self._lists[key] = entries(self, name, layers)
        return self._lists[key]

    @cached_property
    def _lists(self) -> dict[tuple[str, int], tuple[str, ...] | None]:
        return {}

    @cached_property
    def unsaid(self) -> set[str]:
        """Lists that were asked for and are not known."""
        return set()

    @cached_property
    def _members(self) -> dict[str, frozenset[int]]:
        return {}

    @cached_property
    def _times(self) -> dict[tuple[tuple[str, ...], int], int]:
        return {}


TEXT_KEYS = ("thinker_config", "text_config", "llm_config", "language_config")
"""Where a model of several parts keeps the config of its language model; each may lie in the one before."""


def flat(config: Mapping[str, Any], nested: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
    """The config of the language model: what stands under `text_config`, where a model of several parts has one.

    A `text_config` is published without what equals the default of its class: `nested` has those defaults.
    """
    found = dict(config)
    inner = False
    for key in TEXT_KEYS:
        text = found.get(key)
        if isinstance(text, Mapping):
            found |= {**({} if inner else nested or {}), **text}
            inner = True
    return found


def texts_in(config: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The configs of the language model inside a config, the outer first."""
    for key in TEXT_KEYS:
        inner = config.get(key)
        if isinstance(inner, Mapping):
            yield inner
            config = inner


def settings_of(config: Mapping[str, Any], anatomy: Family | None) -> Settings:
    """The settings that a config gives under an anatomy (None: the common names only)."""
    return settings_in(Reader(flat(config, anatomy.nested if anatomy else None)), anatomy)


def settings_in(reader: Reader, anatomy: Family | None) -> Settings:
    """The settings of the very config that a reader reads."""
    reader.config = spelled_out(reader.config)
    flags = {name: _flag(reader, sources) for name, sources in (anatomy.flags if anatomy else {}).items()}
    if anatomy is None:
        tied = reader.flag("tie_word_embeddings")
        flags |= {} if tied is None else {"tied": tied}
    else:
        flags |= _purposes(reader, anatomy)
    dimensions: dict[str, Any] = {}
    reasons: dict[str, str] = {}
    for name, sources in (anatomy.dimensions if anatomy else COMMON).items():
        value = _dimension(reader, name, sources, dimensions, flags)
        if not isinstance(value, str):
            dimensions[name] = value
        else:
            reasons[name] = value
    dimensions["labels"] = _labels(reader)
    _check_heads(reader, dimensions, reasons)
    sparse = _sparse(reader, anatomy, dimensions)
    rule = anatomy.facts["sparse"] if anatomy else {}
    wrong = [reader.malformed[key] for key in _keys_of(rule) if key in reader.malformed]
    reasons |= {"sparse": wrong[0]} if wrong else {}  # which layers have experts is not known then
    return Settings(reader, dimensions, flags, sparse, reasons, anatomy)


def _keys_of(rule: Mapping[str, Any]) -> list[str]:
    sources = [one for value in rule.values() for one in (value if isinstance(value, list) else [value])]
    return [one for one in sources if isinstance(one, str)]


def _flag(reader: Reader, sources: Sources) -> bool:
    for source in sources:
        if not isinstance(source, str):
            return bool(source)
        if "==" in source:
            key, text = source.split("==")
            said = reader.raw(key)
            if isinstance(said, str) or (isinstance(said, int) and text.isdigit()):
                return str(said) == text
            continue
        value = reader.flag(source.removeprefix("!"))
        if value is not None:
            return value is not source.startswith("!")
    return False


def _dimension(
    reader: Reader, name: str, sources: Sources, known: Mapping[str, int], flags: Mapping[str, bool]
) -> int | float | str:
    """The value of a dimension, or the reason why there is none."""
    optional = bool({0, "null:0", "0+"} & set(sources)) or any(
        isinstance(source, str) and "-" in source for source in sources
    )
    most = MOST_LAYERS if name == "layers" else LARGEST
    whole = not any(isinstance(source, float) for source in sources)
    for source in sources:
        if not isinstance(source, str):
            return source if isinstance(source, float) else int(source)
        if source == "0+":  # nought is one of its numbers
            continue
        if source.startswith(("#", "null:")):
            found = _length(reader, source[1:]) if source[0] == "#" else _null(reader, sources[0], source)
            if found is not None:
                return found
            continue
        if source.startswith("?"):
            flag, source = source[1:].split()
            if not flags[flag]:
                continue
            source = source if source[0].isalpha() else f"={source}"
            source = f"={source}" if source in known else source
        if source.startswith("="):
            return _formula(source[1:], known, least=0 if optional else 1)
        value = reader.count(source, 0 if optional else 1, most) if whole else reader.number(source)
        if value is not None:
            return value
        if source in reader.malformed:  # never a default in place of what the config tried to say
            return reader.malformed[source]
    return f'config.json has no "{next(source for source in sources if isinstance(source, str))}"'


def _length(reader: Reader, key: str) -> int | None:
    held = reader.raw(key)
    return len(held) if isinstance(held, list) else None


def _null(reader: Reader, key: str | float, source: str) -> int | None:
    """What a null that stands in the config means, where leaving the key out means something else."""
    return int(source.removeprefix("null:")) if key in reader.config else None


def _formula(formula: str, known: Mapping[str, int], least: int) -> int | str:
    value = evaluate(formula, known)
    if value is None:
        return f"needs {' and '.join(sorted(nouns(formula) - set(known))) or 'other numbers'}"
    return value if value >= least else f"{formula} is {value}"


def _purposes(reader: Reader, anatomy: Family) -> dict[str, bool]:
    classes = reader.raw("architectures")
    name = classes[0] if isinstance(classes, list) and classes and isinstance(classes[0], str) else ""
    ending = ending_of(name)
    if ending == "ForConditionalGeneration" and isinstance(reader.raw("text_config"), Mapping):
        ending = "ForCausalLM"  # a wrapper that sees or hears writes with its language model's head
    endings = (ending,) if ending else anatomy.heads.get("default", ("ForCausalLM",))
    return {purpose: bool(set(endings) & set(wanted)) for purpose, wanted in anatomy.heads.items()}


def _labels(reader: Reader) -> int:
    labels = reader.raw("id2label")
    return len(labels) if isinstance(labels, Mapping) else reader.count("num_labels") or 2


def _check_heads(reader: Reader, dimensions: dict[str, Any], reasons: dict[str, str]) -> None:
    heads, kv_heads, hidden = (dimensions.get(name) for name in ("heads", "kv_heads", "hidden"))
    if heads and kv_heads and heads % kv_heads:
        sentence = f"config.json: {kv_heads} key heads do not divide {heads} query heads"
        reader.malformed["num_key_value_heads"] = reasons["kv_heads"] = sentence
        del dimensions["kv_heads"]
    size = dimensions.get("head_size")
    if heads and hidden and hidden % heads and size == hidden // heads and reader.raw("head_dim") is None:
        sentence = f"config.json: {heads} heads do not divide a width of {hidden}; heads of {size} numbers are taken"
        reader.malformed["num_attention_heads"] = sentence
    experts, used = dimensions.get("experts"), dimensions.get("experts_used")
    if experts and used and used > experts:
        reader.malformed["experts_used"] = f"config.json: a token uses {used} experts of {experts}; {experts} are taken"


def _sparse(reader: Reader, anatomy: Family | None, dimensions: Mapping[str, int]) -> tuple[bool, ...]:
    rule = anatomy.facts["sparse"] if anatomy else {}
    if not rule or not dimensions.get("experts"):
        return ()
    first = rule_count(reader, rule, "first", 0)
    every = rule_count(reader, rule, "every", 1)
    listed = reader.raw(rule["except"]) if "except" in rule else None
    if listed is not None and not isinstance(listed, list):
        reader.note(rule["except"], listed, "a list of layers")
    skipped = {layer for layer in listed if isinstance(layer, int)} if isinstance(listed, list) else set()
    offset = rule.get("offset", 0)
    layers = range(dimensions.get("layers", 0))
    return tuple(n >= first and every > 0 and (n + offset) % every == 0 and n not in skipped for n in layers)


def rule_count(reader: Reader, rule: Mapping[str, Any], name: str, default: int) -> int:
    """A number of a rule in the anatomy: a plain number, or keys of the config and then a default."""
    sources = rule.get(name, default)
    for source in sources if isinstance(sources, list) else [sources]:
        value = reader.count(source, least=0) if isinstance(source, str) else int(source)
        if value is not None:
            return value
    return default
