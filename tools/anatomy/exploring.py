"""One change of a config at a time, and what it does to names and shapes."""

from __future__ import annotations

import dataclasses
import inspect
import pathlib
import random
import re
import typing
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import PreTrainedConfig
from transformers.configuration_utils import ALLOWED_LAYER_TYPES

from building import Seen, Unit, Values, after, configured, see

IDLE = re.compile(
    r"dropout|token_id|initializer|_eps$|epsilon|^pad_|_std$|temperature|scaling$|scale$|loss|jitter|use_cache|dtype"
    r"|output_(attentions|hidden|router|scores)|return_|chunk_size_feed|problem_type|prob$|label|_idx$|token_index"
    r"|layerdrop|softcap|theta|gradient|_lr"
    r"|attn_implementation|transformers_version|name_or_path|multiplier|time_step_(min|max|floor|limit)|num_beams|mask_"
)
NUMBER = re.compile(r"(heads|dim|size|experts|rank)$")
PATTERNED = 14
EXPERTS = re.compile(r"(n_routed_experts|num_experts|num_local_experts|moe_num_experts|n_experts|num_routed_experts)$")
KEEPING = {"is_decoder"}
"""Flags that change no tensor, but what is kept of a text."""
NESTED_WORDS = re.compile(
    r"(hidden|embed|width|d_model|dim|vocab|image_size|patch|merge|layers|depth|channels|intermediate|size|rank|"
    r"indexes|heads|length|position|num_|stride|kernel|tie_word|n_mels|factor|tokens|strategy|bias)"
)


@dataclass
class Explored:
    """Everything that was seen of a unit: `base`, and what each single change made of it."""

    unit: Unit
    base: Seen
    fields: dict[str, Any]
    all: list[Seen] = field(default_factory=list)
    single: dict[str, list[Seen]] = field(default_factory=dict)
    absent: dict[str, Seen] = field(default_factory=dict)
    pairs: list[tuple[str, Seen, Seen]] = field(default_factory=list)

    def add(self, change: Values, *, to: Seen | None = None) -> Seen | None:
        """Sees a change of the base; None where transformers refuses it."""
        given = {**(to or self.base).given, **change}
        try:
            found = see(self.unit, given)
        except Exception:
            return None
        self.all.append(found)
        if len(change) == 1:
            self.pairs.append((next(iter(change)), found, to or self.base))
        return found

    def forget(self) -> None:
        """Takes back the last thing that was seen: it was no news."""
        gone = self.all.pop()
        self.pairs = [pair for pair in self.pairs if pair[1] is not gone]


def fields_of(unit: Unit) -> dict[str, Any]:
    """The fields of a config with their defaults, nested ones under `a.b`, and the words that its init still takes."""
    return _fields(unit.config, "")


def _fields(config: type, prefix: str) -> dict[str, Any]:
    default = config()
    found: dict[str, Any] = {}
    inner = set(getattr(config, "sub_configs", {}))
    for one in dataclasses.fields(config):
        if one.name.startswith("_") or one.name in inner:
            continue
        value = one.default if one.default is not dataclasses.MISSING else None
        if one.default_factory is not dataclasses.MISSING:
            value = one.default_factory()
        found[prefix + one.name] = value
    for name in re.findall(r"getattr\((?:self\.)?config, \"(head_dim)\"", _modelling(config)):
        found.setdefault(prefix + name, None)  # the modelling code takes it where a config has it
    for name, value in legacy(config).items():
        found.setdefault(prefix + name, value)
    for key in inner:
        nested = getattr(default, key, None)
        if nested is not None and prefix.count(".") < 2:
            known = after(nested)
            for name, value in _fields(type(nested), f"{prefix}{key}.").items():
                said = known.get(name.removeprefix(f"{prefix}{key}."))
                found[name] = value if value is None or said is None else said
    return found


def _modelling(config: type) -> str:
    """The source beside a config that builds the model."""
    path = pathlib.Path(inspect.getfile(config))
    beside = path.with_name(path.name.replace("configuration_", "modeling_"))
    return beside.read_text(encoding="utf-8") if beside.exists() and beside != path else ""


def legacy(config: type) -> dict[str, Any]:
    """Words that `__post_init__` takes besides the fields: `kwargs.pop("full_attention_interval", 4)`."""
    try:
        source = inspect.getsource(config)
    except (OSError, TypeError):
        return {}
    found = {}
    for name, value in re.findall(r"kwargs\.(?:pop|get|setdefault)\(\s*[\"'](\w+)[\"'],\s*([^()\s,]+)\s*\)", source):
        try:
            found[name] = eval(value, {}, {})  # a literal of transformers' own source
        except Exception:
            continue
    return {n: v for n, v in found.items() if isinstance(v, int | bool) or (v is None and NUMBER.search(n))}


def alternatives(value: Any, name: str) -> list[Any]:
    """Values to try in place of one, the likeliest to be allowed first."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        if value == 0:
            return [1, 2, 4]
        if re.search(r"layers|depth|interval|period|offset|step|every|first|start|groups?$", name):
            return [value + 1, value - 1, value + 2, value * 2]
        return [2 * value, 3 * value, value // 2, 4 * value, value + 1, value - 1, value + 2]
    if isinstance(value, float):
        return [value * 2, value * 1.5, value + 1.0]
    return []


def explore(unit: Unit, given: dict[str, Any], own: typing.Callable[[str], bool] = lambda name: True) -> Explored:
    """Sees a unit at its base and at every single change of it that matters to tensors for which `own` holds."""
    fields = fields_of(unit)
    base = see(unit, given)
    given, nulls = _filled(unit, base, fields)
    base = see(unit, given)
    found = Explored(unit, base, fields)
    found.all.append(base)
    for name in nulls:
        without = {key: value for key, value in given.items() if key != name}
        try:
            seen = see(unit, without)
        except Exception:
            continue
        found.absent[name] = seen
        if seen.tensors != base.tensors or seen.after.get(name) is not None:
            found.all.append(seen)
    read = _read_by(unit, given)
    names = [name for name in fields if _matters(name) and name in read]
    for name in names:
        _change(found, name, own)
    _strings(found, own)
    _lists(found)
    _together(found)
    _beside(found)
    _deeper(found)
    return found


def _together_in(found: Explored) -> list[tuple[str, ...]]:
    """The sets of fields that one size depends on, from single changes."""
    base = found.base.tensors
    sets: set[tuple[str, ...]] = set()
    moved: dict[tuple[str, int], set[str]] = {}
    for name, seen in found.single.items():
        if isinstance(found.fields[name], bool):
            continue
        for one in seen[:2]:
            for tensor, shape in one.tensors.items():
                old = base.get(tensor)
                if old is not None and len(old) == len(shape):
                    for axis, (x, y) in enumerate(zip(old, shape, strict=True)):
                        if x != y:
                            moved.setdefault((tensor, axis), set()).add(name)
    for names in moved.values():
        if 2 <= len(names) <= 5:
            sets.add(tuple(sorted(names)))
    layered = [n for n in found.single if _is_depth(n)]
    wide = tuple(sorted({n for names in moved.values() for n in names if len(names) == 1}))[:6]
    return [*sorted(sets), *([wide] if len(wide) > 1 else []), *([tuple(layered[:2])] if len(layered) > 1 else [])]


def _beside(found: Explored) -> None:
    """The sizes of tensors that are not there at the base: the same changes again, beside what brings them."""
    known = {_bare(name) for name in found.base.tensors}
    counts = [n for n, v in found.fields.items() if _matters(n) and type(_now(found.base, n, v)) in (int, float)]
    for seen in found.all:  # what is seen beside one may bring more
        new = {_bare(name) for name in seen.tensors} - known
        if not new:
            continue
        known |= new
        read = {*_read_by(found.unit, seen.given), *found.single}
        brought = [n for n in seen.given if n not in found.base.given and type(seen.given[n]) is int]
        for name in [*brought, *(n for n in counts if n in read)]:
            if name not in brought and seen.given.get(name) != found.base.given.get(name):
                continue
            if name in found.single and found.single[name] and name not in brought:
                found.add({name: found.single[name][0].given[name]}, to=seen)
                continue
            for other in alternatives(_now(seen, name, found.fields[name]), name)[:3]:
                made = found.add({name: other}, to=seen)
                if made is not None:
                    if made.tensors == seen.tensors:
                        found.forget()
                    else:
                        found.single.setdefault(name, [])
                    break


def _now(seen: Seen, name: str, default: Any) -> Any:
    return seen.given.get(name, seen.after.get(name, default))


def _bare(name: str) -> str:
    return re.sub(r"(^|\.)\d+(?=\.|$)", r"\1#", name)


def _deeper(found: Explored) -> None:
    """The same with more layers, for rules that go by the number of a layer."""
    layers = [
        name for name, size in found.base.given.items() if type(size) is int and 3 <= size <= 10 and _is_depth(name)
    ]
    if not layers or len(_blocks(found.base)) < 2:
        return
    more = dict.fromkeys(layers, PATTERNED)
    wide = found.add(more)
    if wide is None:
        return
    found.add(dict.fromkeys(layers, PATTERNED + 3))
    for name in found.single:
        if name in layers or isinstance(found.fields[name], bool):
            continue
        for seen in found.single[name][:2]:
            if set(seen.tensors) != set(found.base.tensors) or re.search(
                r"interval|period|step|every|stride|offset|first|start|dense", name
            ):
                found.add({name: seen.given[name]}, to=wide)


def _is_depth(name: str) -> bool:
    return "." not in name and bool(re.search(r"(^|_)(n_layers?|num_layers|num_hidden_layers|depth|\w*layers)$", name))


def _read_by(unit: Unit, given: Values) -> set[str]:
    """The fields that building a model asks its config for, and those that the config's own init speaks of."""
    found: set[str] = set()
    config = configured(unit, given)
    paths = {id(config): ""}
    _paths(config, "", paths)
    original = PreTrainedConfig.__getattribute__

    def traced(self: Any, key: str) -> Any:
        path = paths.get(id(self))
        if path is not None:
            found.add(path + key)
        return original(self, key)

    PreTrainedConfig.__getattribute__ = traced
    try:
        with torch.device("meta"):
            unit.model(config)
    finally:
        PreTrainedConfig.__getattribute__ = original
    for inner, path in [(config, ""), *((inner, paths[id(inner)]) for inner in _inner(config))]:
        alias = type(inner).attribute_map
        found |= {path + own for standard, own in alias.items() if path + standard in found}
        for base in type(inner).__mro__:
            for method in ("__post_init__", *(n for n, v in vars(base).items() if isinstance(v, property))):
                if base is PreTrainedConfig or method not in vars(base):
                    continue
                held = vars(base)[method]
                try:
                    source = inspect.getsource(held.fget if isinstance(held, property) else held)
                except (OSError, TypeError):
                    continue
                found |= {path + word for word in re.findall(r"\w+", source)}
    return found


def _inner(config: Any) -> list[Any]:
    held = [getattr(config, key, None) for key in getattr(config, "sub_configs", None) or {}]
    return [one for inner in held if inner is not None for one in (inner, *_inner(inner))]


def _paths(config: Any, prefix: str, found: dict[int, str]) -> None:
    for key in getattr(config, "sub_configs", None) or {}:
        inner = getattr(config, key, None)
        if inner is not None:
            found[id(inner)] = f"{prefix}{key}."
            _paths(inner, f"{prefix}{key}.", found)


def _matters(name: str) -> bool:
    last = name.rsplit(".", 1)[-1]
    return not IDLE.search(last) and ("." not in name or bool(NESTED_WORDS.search(last)))


def shrunk(unit: Unit, fields: dict[str, Any]) -> dict[str, Any]:
    """Values that make a model of few layers and experts, each kept only where transformers takes it."""
    given = _buildable(unit, fields)
    counts = [
        n
        for n, v in fields.items()
        if type(v) is int and re.search(r"(^|_|\.)(n_layers?|num_layers|num_hidden_layers|depth|\w*layers)$", n)
    ]
    counts = [
        n
        for n in counts
        if not re.search(r"first|dense|skip|start|window|end|_idx|shared|predict|mtp|mlp_only|moe_layers", n)
    ]
    experts = [n for n, v in fields.items() if type(v) is int and v > 8 and EXPERTS.search(n)]
    at_once = {
        **given,
        **dict.fromkeys(experts, 4),
        **{n: 2 if "." in n else PATTERNED for n in counts if fields[n] > (2 if "." in n else PATTERNED)},
    }
    if _builds(unit, at_once):
        given = at_once
    else:
        for name in experts:
            size = next((size for size in (4, 8, 16) if _builds(unit, {**given, name: size})), None)
            given |= {} if size is None else {name: size}
        for name in counts:
            sizes = (2,) if "." in name else (PATTERNED, 12, 8, 6)
            size = next((s for s in sizes if fields[name] > s and _builds(unit, {**given, name: s})), None)
            given |= {} if size is None else {name: size}
    plain = [name for name in counts if "." not in name and given.get(name) == PATTERNED]
    if plain:
        wide = see(unit, given)
        for size in (3, 4, 5, 6, 8, 10):
            smaller = {**given, **dict.fromkeys(plain, size)}
            try:
                seen = see(unit, smaller)
            except Exception:
                continue
            if _blocks(seen) == _blocks(wide) and _kinds(seen, size) == _kinds(wide, PATTERNED):
                return smaller
    return given


def _buildable(unit: Unit, fields: dict[str, Any]) -> dict[str, Any]:
    """Nothing, or the numbers that the config's class leaves null and its model cannot do without."""
    if _builds(unit, {}):
        return {}
    base = Seen({}, {}, frozenset(), {n: v for n, v in fields.items() if v is not None})
    nulls = [n for n, v in fields.items() if v is None and _matters(n) and NUMBER.search(n)]
    given = {name: _guesses(base, name)[0] for name in nulls}
    if not _builds(unit, given):
        return {}
    for name in nulls:
        fewer = {other: value for other, value in given.items() if other != name}
        given = fewer if _builds(unit, fewer) else given
    return given


def _builds(unit: Unit, given: Values) -> bool:
    try:
        see(unit, given)
    except Exception:
        return False
    return True


def _kinds(seen: Seen, length: int) -> dict[str, set[str]]:
    """The lists with an entry a layer, and what stands in each."""
    return {n: set(map(str, v)) for n, v in seen.after.items() if isinstance(v, list) and len(v) == length}


def _blocks(seen: Seen) -> set[frozenset[tuple[str, Any]]]:
    """The kinds of numbered blocks: what tensors of which shapes are in one."""
    blocks: dict[str, set[tuple[str, Any]]] = {}
    for name, shape in seen.tensors.items():
        match = re.match(r"(.*?)\.(\d+)\.(.*)", name)
        if match:
            blocks.setdefault(f"{match[1]}.{match[2]}", set()).add((match[1] + match[3], shape))
    return {frozenset(block) for block in blocks.values()}


def _filled(unit: Unit, base: Seen, fields: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Seen]]:
    """The base with what is None by default given; and what was seen with each of these left out."""
    given, nulls = dict(base.given), {}
    for name, value in fields.items():
        if value is not None or not _matters(name):
            continue
        settled = base.after.get(name)
        if type(settled) is int and settled > 0:
            if _builds(unit, {**given, name: settled}):
                given[name] = settled
                nulls[name] = base
        elif settled is None and not re.search(r"layer_types|config|rope|mapping|pattern|list|types", name):
            for trial in _guesses(base, name):
                try:
                    seen = see(unit, {**given, name: trial})
                except Exception:
                    continue
                if seen.tensors != base.tensors or _again(unit, base, given, name, trial):
                    nulls[name] = base
                    given[name] = trial
                break
    return given, nulls


def _again(unit: Unit, base: Seen, given: Values, name: str, trial: int) -> bool:
    """Whether a value that changed nothing only happened to equal what stands for None."""
    for other in (2 * trial, trial + 8):
        try:
            return bool(see(unit, {**given, name: other}).tensors != base.tensors)
        except Exception:
            continue
    return False


def _guesses(base: Seen, name: str) -> list[Any]:
    known = base.after
    hidden = next((known[n] for n in ("hidden_size", "n_embd", "d_model", "dim") if type(known.get(n)) is int), 512)
    heads = next((known[n] for n in ("num_attention_heads", "n_head", "n_heads") if type(known.get(n)) is int), 8)
    if re.search(r"head_dim|head_size", name):
        return [hidden // max(heads, 1), 64]
    if re.search(r"heads", name):
        return [heads, max(heads // 2, 1)]
    if re.search(r"experts|shared", name):
        return [2, 1]
    if re.search(r"inter|ffn|inner|mlp", name):
        return [4 * hidden, hidden]
    return [64, 8, 2, hidden]


def _change(found: Explored, name: str, own: typing.Callable[[str], bool]) -> None:
    """Two other values of a field, the second only where the first did something."""
    value = found.base.given.get(name, found.base.after.get(name, found.fields[name]))
    if isinstance(value, list) or value is None:
        value = found.fields[name]
    count = 0
    for other in alternatives(value, name):
        seen = found.add({name: other})
        if seen is None:
            continue
        if not _differs(found.base, seen, own) and name not in KEEPING:
            found.forget()
            if type(value) is int and count == 0 and re.search(r"interval|period|step|every|stride|offset", name):
                continue
            return
        found.single.setdefault(name, []).append(seen)
        count += 1
        if count == 2 or isinstance(value, bool):
            break
    if not count and isinstance(value, bool) and "." not in name:
        _with_nulls(found, name, not value)
    if count and type(value) is int:
        for nothing in (0, None):
            if (seen := found.add({name: nothing})) is not None:
                empty = any(0 in shape for shape in seen.tensors.values())
                if empty or seen.after.get(name) not in (0, None) or seen.tensors == found.base.tensors:
                    found.forget()  # what stands for nothing here is something else
                    continue
                found.single[name].append(seen)


def _with_nulls(found: Explored, name: str, value: bool) -> None:
    """A flag that is refused alone, beside numbers that are null."""
    base = found.base
    nulls = [n for n, v in found.fields.items() if v is None and base.after.get(n) is None and "." not in n]
    guessed = {
        n: _guesses(base, n)[0] for n in nulls if _matters(n) and re.search(r"num_|_size$|_dim$|top_k|experts", n)
    }
    seen = found.add({**guessed, name: value}) if guessed else None
    if seen is not None and seen.tensors == base.tensors:
        found.forget()


def _differs(base: Seen, seen: Seen, own: typing.Callable[[str], bool]) -> bool:
    ours = {name: shape for name, shape in base.tensors.items() if own(name)}
    return ours != {name: shape for name, shape in seen.tensors.items() if own(name)}


def _strings(found: Explored, own: typing.Callable[[str], bool]) -> None:
    hints = {}
    try:
        hints = typing.get_type_hints(found.unit.config)
    except Exception:
        pass
    for name, value in found.fields.items():
        allowed = [v for v in _literals(hints.get(name)) if isinstance(v, str)]
        for other in allowed:
            if (
                other != value
                and (seen := found.add({name: other})) is not None
                and not _differs(found.base, seen, own)
            ):
                found.forget()


def _literals(hint: Any) -> list[Any]:
    if typing.get_origin(hint) is typing.Literal:
        return list(typing.get_args(hint))
    return [value for inner in typing.get_args(hint) for value in _literals(inner)]


def _lists(found: Explored) -> None:
    """Lists with an entry a layer, shuffled; and lists of layers, empty and other."""
    rolled = random.Random(0)
    base = found.base
    lengths = {v for n, v in base.after.items() if type(v) is int and re.search(r"layer|depth", n)}
    for name, value in base.after.items():
        if not isinstance(value, list) or name not in found.fields:
            continue
        if len(value) > 1 and (len(value) in lengths or all(isinstance(item, str) for item in value)):
            for _ in range(2):
                other = list(value)
                rolled.shuffle(other)
                found.add({name: other})
            for word in _others(found.unit, value):
                found.add({name: [word, *value[1:]]})
                found.add({name: [*value[:-1], word]})
            if all(isinstance(item, str) for item in value):  # where the list itself says how many layers there are
                longer = found.add({name: [*value, *value[::-1]]})
                if longer is not None and longer.tensors == base.tensors:
                    found.forget()  # the list may be longer than the layers, and nobody publishes that
        elif all(type(item) is int for item in value):
            for other in ([], [0], [1, 2]):
                found.add({name: other})
    for name, value in found.fields.items():
        if value is None and re.search(r"layers|layer_ids|indices|idxs|list", name) and base.after.get(name) is None:
            for other in ([], [1], [0, 2]):
                found.add({name: other})


def _others(unit: Unit, value: list[Any]) -> list[str]:
    """Kinds of layers that the code of a model speaks of and that its list does not hold."""
    if not all(isinstance(item, str) for item in value):
        return []
    source = _modelling(unit.config) + inspect.getsource(inspect.getmodule(unit.config))
    return [word for word in ALLOWED_LAYER_TYPES if f'"{word}"' in source and word not in value]


def _together(found: Explored) -> None:
    """Two changes at once, which show what one alone cannot: flags that need each other, and products."""
    flags = {n: not v for n, v in found.fields.items() if isinstance(v, bool) and n in found.single}
    given: dict[str, Any] = {}
    for name, value in flags.items():
        if found.add({**given, name: value}) is not None:
            given[name] = value
    for names in _together_in(found):
        for which in (0, 1):
            chosen = {n: found.single[n][min(which, len(found.single[n]) - 1)].given[n] for n in names}
            if found.add(chosen) is None:
                halves = [dict(list(chosen.items())[:2]), dict(list(chosen.items())[-2:])]
                for half in halves:
                    found.add(half)
    silent = [
        n
        for n, v in found.fields.items()
        if isinstance(v, bool) and n not in found.single and _matters(n) and "." not in n
    ]
    for name in silent:  # a flag that does nothing at the base may do something beside another
        for other, value in list(flags.items())[:4]:
            found.add({other: value, name: not found.fields[name]})
    quiet = [n for n, v in found.fields.items() if v is None and NUMBER.search(n) and "." not in n and _matters(n)]
    for name in quiet:
        if found.base.after.get(name) is None and name not in found.base.given:
            _quiet_beside(found, name, flags)


def _quiet_beside(found: Explored, name: str, flags: dict[str, Any]) -> None:
    """A number that is null and does nothing at the base, beside each flag that does something."""
    for flag, value in flags.items():
        alone = next(iter(found.single[flag]), None)
        for guess in _guesses(found.base, name) if alone is not None else ():
            made = found.add({flag: value, name: guess})
            if made is None:
                continue
            if made.tensors == alone.tensors:
                found.forget()
                continue
            found.single.setdefault(name, [])
            found.absent.setdefault(name, alone)
            found.pairs.append((name, made, alone))
            if (more := found.add({flag: value, name: 2 * guess})) is not None:
                found.pairs.append((name, more, alone))
            moved = [tensor for tensor, shape in made.tensors.items() if alone.tensors.get(tensor) != shape]
            for other in [n for n in found.single if n != name and type(found.fields[n]) is int and found.single[n]]:
                seen = found.single[other][0]  # what else those sizes depend on
                if any(seen.tensors.get(tensor) != found.base.tensors.get(tensor) for tensor in moved):
                    found.add({other: seen.given[other]}, to=made)
            break


def settled(unit: Unit, given: Values) -> dict[str, Any] | None:
    """The config after its init, without building a model."""
    try:
        return after(configured(unit, given))
    except Exception:
        return None
