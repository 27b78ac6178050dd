"""What transformers' own cache holds after a forward pass: shapes on the meta device, solved like those of weights."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import math
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from building import Seen, Unit, after, build
from conditions import Row, Table
from describing import Describer
from exploring import EXPERTS, KEEPING, Explored

TOKENS = (64, 300)
WINDOW = 200
WINDOWS = re.compile(
    r"^(sliding_window(?!_(pattern|layers|freq|interval))\w*|attention_chunk_size|local_attention|attention_window_size|window_size)$"
)
READ = re.compile(
    r"head|kv|lora|rank|nope|rope_head|v_head|hidden_size|conv|state|ssm|mamba|linear|group|expand|window|chunk|index|"
    r"lru|query|n_embd|d_model|kernel|_dim$|compress|latent"
)
CHOSEN = re.compile(r"experts_per_tok|top_?k|_groups?$")
NO_CACHE = {"logits", "prediction_logits", "seq_relationship_logits", "last_hidden_state", "loss", "pooler_output"}
"""All that a model gives which keeps nothing of a text."""
Held = dict[int, list[tuple[str, tuple[int, ...]]]]


@dataclass
class Measured:
    """One config: the config after its init, and each layer's tensors after so many tokens."""

    given: Mapping[str, Any]
    after: dict[str, Any]
    held: dict[int, Held]


def elements(unit: Unit, given: Mapping[str, Any]) -> dict[str, int] | None:
    """The numbers that the cache holds after each of `TOKENS` tokens; None where no pass could be made."""
    found = measure(unit, given)
    if found is None:
        return None
    return {
        str(n): sum(math.prod(shape) for layer in held.values() for _, shape in layer) for n, held in found.held.items()
    }


def measure(unit: Unit, given: Mapping[str, Any]) -> Measured | None:
    """The cache of a unit at a config; None where its forward pass needs more than shapes."""
    fewer = {name: value for name, value in given.items() if not EXPERTS.search(name)}
    for own in (fewer, given):  # a router takes its own number, where it has one
        for quiet in (True, False):
            try:
                return _passed(unit, own, quiet)
            except Exception:
                continue
    return None


def _passed(unit: Unit, given: Mapping[str, Any], quiet: bool) -> Measured | None:
    null = [one.name for one in dataclasses.fields(unit.config) if CHOSEN.search(one.name) and one.default is None]
    model, config = build(unit, {**dict.fromkeys(null, 1), **given})
    _still(model, quiet)
    model.eval()
    with _without_masks(model) if quiet else contextlib.nullcontext():
        return _after_passes(model, config, given)


@contextlib.contextmanager
def _without_masks(model: torch.nn.Module) -> Iterator[None]:
    """No masks are made and nothing is turned: neither changes a shape of what is kept, and some refuse other sizes."""
    code = vars(sys.modules[type(model).__module__])
    masks = {name: lambda *given, **named: None for name in code if re.match(r"create_\w*mask", name)}
    turns = {name: _unturned(code[name]) for name in code if re.match(r"apply_\w*rotary_\w*emb", name)}
    kept = {name: code[name] for name in (*masks, *turns)}
    try:
        code.update({**masks, **turns})
        yield
    finally:
        code.update(kept)


def _unturned(turn: Callable[..., Any]) -> Callable[..., Any]:
    second = list(inspect.signature(turn).parameters)[1]
    if second.lstrip("x").startswith("k"):
        return lambda queries, keys, *given, **named: (queries, keys)
    return lambda one, *given, **named: one


def _after_passes(model: torch.nn.Module, config: Any, given: Mapping[str, Any]) -> Measured | None:
    held = {}
    for tokens in TOKENS:
        with torch.no_grad(), torch.device("meta"):
            out = model(input_ids=torch.zeros((1, tokens), dtype=torch.long, device="meta"), use_cache=True)
        cache = getattr(out, "past_key_values", None)
        cache = cache if cache is not None else getattr(out, "cache_params", None)
        if cache is None and set(out) - NO_CACHE:
            return None
        held[tokens] = {n: [] for n in range(config.num_hidden_layers)} if cache is None else _layers(cache)
    return Measured(dict(given), after(config), held)


def _still(model: torch.nn.Module, quiet: bool) -> None:
    """Experts give back what they get: which of them a token meets is no matter of shapes. Norms and MLPs, too."""
    for module in model.modules():
        name = type(module).__name__
        if name.endswith("Experts") or (quiet and name.endswith(("Norm", "MLP"))):
            module.forward = lambda hidden, *given, **named: torch.empty_like(hidden)


def _layers(cache: Any) -> Held:
    inner = getattr(cache, "self_attention_cache", cache)
    layers = getattr(inner, "layers", None)
    if layers is None:
        raise TypeError("a cache of another kind")
    return {n: [(name, shape) for name, shape in _tensors(layer)] for n, layer in enumerate(layers)}


def _tensors(layer: Any) -> list[tuple[str, tuple[int, ...]]]:
    found: list[tuple[str, tuple[int, ...]]] = []
    for name, value in sorted(vars(layer).items()):
        values = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else [value]
        keys = (
            list(value) if isinstance(value, dict) else range(len(values)) if isinstance(value, list | tuple) else [""]
        )
        for key, one in zip(keys, values, strict=False):
            if isinstance(one, torch.Tensor) and one.numel() > 1 and one.dim() > 1:
                found.append((f"{name}{key}", tuple(one.shape)))
    return found


def cache_rows(explored: Explored, describer: Describer) -> list[list[str]] | None:
    """[kind, numbers, condition, window] for each tensor a layer keeps; None where that could not be told.

    Kinds: `token` (so many numbers a token), `window` (a token, of the last `window` only), `state` (once).
    """
    unit, base = explored.unit, explored.base
    given = dict(base.given)
    windows = [n for n in explored.fields if WINDOWS.fullmatch(n)]
    flags = [n for n, v in explored.fields.items() if isinstance(v, bool) and re.search(r"sliding_window$", n)]
    for name, value in [*dict.fromkeys(flags, True).items(), *dict.fromkeys(windows, WINDOW).items()]:
        if measure(unit, {**given, name: value}) is not None:
            given[name] = value
    first = measure(unit, given)
    for change in sorted((s for s in explored.all if _listed(s)), key=_variety, reverse=True):
        if first is not None and _variety(change) <= _variety(base):
            break  # the base has every kind of layer already
        if (more := measure(unit, {**given, **change.given})) is not None:  # layers of one kind alone may refuse
            first = more
            given |= change.given
            break
    seen, other = [] if first is None else [first], []
    single = [n for n in explored.single if isinstance(explored.fields.get(n), bool) and READ.search(n)]
    for name in dict.fromkeys([*single, *sorted(KEEPING & set(explored.fields))]):
        if (one := measure(unit, {**given, name: not explored.fields[name]})) is not None:
            seen.append(one)
            if not any(seen[0].held[TOKENS[0]].values()):
                given = {**given, name: one.given[name]}
            elif one.held != seen[0].held:
                other.append({**given, name: one.given[name]})
    if not seen or not any(layer for one in seen for layer in one.held[TOKENS[0]].values()):
        return None if first is None else []
    layered = [n for n in given if re.search(r"layers$|n_layer$|depth$", n) and "." not in n]
    if layered and (more := measure(unit, {**given, **dict.fromkeys(layered, 14)})) is not None:
        seen.append(more)
    alike = len(seen)
    for name, changes in explored.single.items():
        if not READ.search(name) or isinstance(explored.fields.get(name), bool):
            continue
        size = base.given.get(name, base.after.get(name))
        halves = [size // 2, size // 4] if type(size) is int and size > 3 else []
        for start in (given, *other):
            for value in (*(change.given[name] for change in changes[:2]), *halves):
                if (one := measure(unit, {**start, name: value})) is not None:
                    seen.append(one)
                    break
    for name in windows:
        if (one := measure(unit, {**given, name: WINDOW + 50})) is not None:
            seen.append(one)
    for change in [
        s for s in explored.all if sum(s.given.get(k) != v for k, v in s.given.items() if base.given.get(k) != v) >= 2
    ][:3]:
        if (one := measure(unit, {**change.given, **{n: given[n] for n in windows if n in given}})) is not None:
            seen.append(one)
    for change in filter(_listed, explored.all):
        if len(seen) < 24 and (one := measure(unit, {**given, **change.given})) is not None:
            seen.append(one)
    return _solved(explored, describer, seen, alike, windows)


def _listed(seen: Seen) -> bool:
    return any(isinstance(value, list) for value in seen.given.values())


def _variety(seen: Seen) -> int:
    """How many kinds of entries the lists of a config have."""
    return sum(len(set(map(str, value))) for value in seen.after.values() if isinstance(value, list))


def _solved(
    explored: Explored, describer: Describer, seen: list[Measured], alike: int, windows: list[str]
) -> list[list[str]] | None:
    names = sorted({name for one in seen for layer in one.held[TOKENS[0]].values() for name, _ in layer})
    rows: list[list[str]] = []
    where = [(n, layer, len(one.held[TOKENS[0]])) for n, one in enumerate(seen) for layer in one.held[TOKENS[0]]]
    known = [
        {**{f: describer._value_in(one.given, one.after, f) for f in explored.fields}, **one.after} for one in seen
    ]
    table = Table([Row(known[n], layer, size) for n, layer, size in where], describer.words)
    for name in names:
        found = _tensor(explored, describer, seen, known, table, where, name, alike, windows)
        if found is None:
            return None
        rows += found
    return rows


def _tensor(
    explored: Explored,
    describer: Describer,
    seen: list[Measured],
    known: list[dict[str, Any]],
    table: Table,
    where: list[tuple[int, int, int]],
    name: str,
    alike: int,
    windows: list[str],
) -> list[list[str]] | None:
    """The rows of one tensor of the cache, one for each way of keeping it; the first `alike` differ in flags alone."""
    kinds: dict[tuple[str, str], list[tuple[int, int, int]]] = {}
    for index, (n, layer, _) in enumerate(where):
        shapes = [dict(seen[n].held[tokens][layer]).get(name) for tokens in TOKENS]
        if None in shapes:
            continue
        kind = _kind(shapes, known[n], windows)
        if kind is None:
            return None
        what, window, size = kind
        kinds.setdefault((what, window), []).append((index, n, size))
    rows = []
    for (what, window), held in kinds.items():
        sizes = sorted({size for index, n, size in held if n < alike}) or [held[0][2]]
        groups = [None] if len(sizes) == 1 else sizes
        for group in groups:
            chosen = [h for h in held if group is None or h[1] >= alike or h[2] == group]
            there, among = np.zeros(len(where), bool), np.ones(len(where), bool)
            if group is not None:
                among = np.array([n < alike for n, _, _ in where])
                chosen = [h for h in held if h[1] < alike and h[2] == group]
            for index, _, _ in chosen:
                there[index] = True
            condition = table.tell(there, among)
            if condition is None:
                return None
            condition = describer._renamed_condition(condition)
            points: dict[int, tuple[dict[str, float], int]] = {}
            from describing import holds

            for index, n, size in held:
                _, layer, layers = where[index]
                if group is None or holds(condition, known[n], layer, layers):
                    if n in points and points[n][1] != size:
                        return None
                    points[n] = (describer._numbers_in(known[n]), size)
            formula = _formula(describer, points)
            if formula is None:
                return None
            describer.used |= describer._names_in(window)
            rows.append([what, formula, condition, describer._said(window)])
    return rows


def _kind(shapes: list[Any], known: Mapping[str, Any], windows: list[str]) -> tuple[str, str, int] | None:
    """How a tensor grows from the first number of tokens to the second, and its numbers beside that."""
    one, other = shapes
    if one == other:
        return "state", "", math.prod(one)
    axes = [axis for axis, (a, b) in enumerate(zip(one, other, strict=True)) if a != b]
    if len(axes) != 1:
        return None
    axis = axes[0]
    rest = math.prod(one) // max(one[axis], 1)
    if (one[axis], other[axis]) == TOKENS:
        return "token", "", rest
    for name in windows:
        size = known.get(name) if type(known.get(name)) is int else 0
        for formula, kept in ((f"{name}-1", size - 1), (name, size), (f"{name}/2-1", size // 2 - 1)) if size else ():
            if (one[axis], other[axis]) == tuple(min(n, kept) for n in TOKENS):
                return "window", formula, rest
    return None


def _formula(describer: Describer, points: dict[int, tuple[dict[str, float], int]]) -> str | None:
    """The numbers as a formula of the fields in whose single change they moved."""
    from solving import solve

    first = next(iter(points.values()))
    names = set()
    for numbers, size in points.values():
        changed = [n for n in numbers if numbers[n] != first[0].get(n)]
        if len(changed) == 1 and size != first[1]:
            names.add(changed[0])
    found = solve(list(points.values()), sorted(names))
    if found is None:
        return None
    describer.used |= describer._names_in(found)
    return describer._said(found)
