"""What the small files of a model mean, whichever form they are written in: two forms of one meaning are equal.

Old and new forms: `torch_dtype` and `dtype`; `rope_theta` with `rope_scaling` and `rope_parameters`; special tokens
in `special_tokens_map.json` and in `tokenizer_config.json`; a key with its default and no key at all.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from typing import Any

from kaibo.models.anatomy.catalogue import UNKNOWN, Family, Sources, family
from kaibo.models.anatomy.positions import positions_of
from kaibo.models.anatomy.settings import Settings, flat, settings_of
from kaibo.models.anatomy.templates import special_tokens
from kaibo.vocabulary import Model

ROTARY = (
    *("rope_theta", "rope_scaling", "rope_parameters", "rope_local_base_freq", "rotary_emb_base", "rotary_pct"),
    *("partial_rotary_factor", "original_max_position_embeddings"),
)
_READ = ("rope_theta", "rope_type", "type", "partial_rotary_factor", "factor", "original_max_position_embeddings")
UNLIMITED = 1e29
"""A `model_max_length` above this says that there is none; transformers writes 10^30."""

Meaning = dict[str, Any]


@cache
def _neutral() -> Mapping[str, Any]:
    found = resources.files("kaibo.models.anatomy").joinpath("neutral.toml").read_text(encoding="utf-8")
    return tomllib.loads(found)


def spoken(place: str, document: Mapping[str, Any]) -> Meaning:
    """The keys of a document that say something, without those that repeat a default. Null is as if absent."""
    ignored = set(_neutral()["ignored"].get(place, ()))
    neutral = dict(_neutral()["neutral"].get(place, ()))
    kept = {key: value for key, value in document.items() if key not in ignored and value is not None}
    return {key: value for key, value in kept.items() if not (key in neutral and _equal(value, neutral[key]))}


def _equal(value: Any, neutral: Any) -> bool:
    """Whether a value is the neutral one; False is not 0."""
    return isinstance(value, bool) == isinstance(neutral, bool) and bool(value == neutral)


def configs(base: Model, tuned: Model) -> tuple[Meaning, Meaning]:
    """The two configs in one form: rotary positions and the type under one name each, settings that agree left out.

    A dimension or flag that both configs resolve to the same value (`num_key_value_heads` that is absent and one
    that equals the heads) is no difference, whatever keys it came from.
    """
    sides = [_Config(base), _Config(tuned)]
    agreed = set.intersection(*({*side.keys_of.items()} for side in sides)) if all(sides) else set()
    resolved = {key for _, (keys, _) in agreed for key in keys}
    one, other = ({key: value for key, value in side.meaning().items() if key not in resolved} for side in sides)
    return one, other


class _Config:
    """One config, read under its anatomy."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.anatomy: Family | None = None if model.family == UNKNOWN else family(model.family)
        self.settings: Settings = settings_of(model.config, self.anatomy)

    def __bool__(self) -> bool:
        return bool(self.model.config) and self.anatomy is not None

    @property
    def keys_of(self) -> dict[str, tuple[frozenset[str], Any]]:
        """Dimension or flag → the keys that it may come from, and what they come to."""
        anatomy, found = self.anatomy, {}
        for table, values in (
            (anatomy.dimensions if anatomy else {}, self.settings.dimensions),
            (anatomy.flags if anatomy else {}, self.settings.flags),
        ):
            for name, sources in table.items():
                if name in values:
                    found[name] = frozenset(_keys(sources)), values[name]
        return found

    def meaning(self) -> Meaning:
        """The config, its rotary keys and its type in one form."""
        config = dict(self.model.config)
        kept = {key: value for key, value in config.items() if key not in (*ROTARY, "torch_dtype", "dtype")}
        named = config.get("dtype", config.get("torch_dtype"))
        kept |= {} if named is None else {"dtype": str(named).removeprefix("torch.")}
        return {**spoken("config", kept), **dict(self._rotary())}

    def _rotary(self) -> Iterator[tuple[str, Any]]:
        """Rotary positions as they are understood, and what of their tables is not."""
        if not self.model.config:
            return
        found = positions_of(self.anatomy, self.settings)
        if found.kind == "RoPE":
            said = {
                "base": found.base,
                "base of windowed layers": found.local_base,
                "share of a head": None if found.share == 1 else found.share,
                "scaling": found.scaling,
                "factor": found.factor if found.scaling else None,
                "context before scaling": found.original_context,
                **found.details,
            }
            yield from ((f"RoPE {name}", value) for name, value in said.items() if value is not None)
        reader = flat(self.model.config)
        for table in (reader.get("rope_parameters"), reader.get("rope_scaling")):
            if isinstance(table, Mapping):
                rest = {f"RoPE {key}": value for key, value in table.items() if key not in (*_READ, *found.details)}
                inner = ("RoPE full_attention", "RoPE sliding_attention")
                yield from ((key, value) for key, value in rest.items() if value is not None and key not in inner)
                return


def _keys(sources: Sources) -> Iterator[str]:
    for source in sources:
        if isinstance(source, str) and source[0] not in "=?" and "." not in source:
            yield source.removeprefix("!").split("==")[0]


def tokenizer_settings(documents: Mapping[str, Any]) -> Meaning:
    """`tokenizer_config.json` without what is compared elsewhere (special tokens, template, vocabulary)."""
    found = spoken("tokenizer_config.json", _mapping(documents.get("tokenizer_config.json")))
    longest = found.get("model_max_length")
    if isinstance(longest, int | float) and longest > UNLIMITED:
        del found["model_max_length"]
    return found


def special(documents: Mapping[str, Any]) -> Meaning:
    """Special tokens by role, from whichever file names them; further ones as a sorted list."""
    further: set[str] = set()
    for name in ("special_tokens_map.json", "tokenizer_config.json"):
        document = _mapping(documents.get(name))
        for key in ("additional_special_tokens", "extra_special_tokens"):
            listed = document.get(key)
            items = listed.values() if isinstance(listed, Mapping) else listed if isinstance(listed, list) else ()
            further |= {text for text in map(_content, items) if text is not None}
    return {**special_tokens(documents), **({"further": sorted(further)} if further else {})}


def _content(token: Any) -> str | None:
    text = token.get("content") if isinstance(token, Mapping) else token
    return text if isinstance(text, str) else None


def _mapping(document: Any) -> Mapping[str, Any]:
    return document if isinstance(document, Mapping) else {}


def generation_settings(documents: Mapping[str, Any]) -> Meaning:
    """`generation_config.json` without what repeats a default."""
    return spoken("generation_config.json", _mapping(documents.get("generation_config.json")))
