"""What a user asks of `kaibo merge`, from options or from a mergekit configuration, as a recipe."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from kaibo.chapters.merge.ask import CONVENTIONS
from kaibo.errors import FormatError, MissingError, UsageError, missing_extra
from kaibo.vocabulary.merging import Divide, Method, Recipe, Scope, Tie, Ties, Vote

CHOICES: Mapping[str, tuple[str, ...]] = {
    "method": get_args(Method),
    "scope": get_args(Scope),
    "ties": get_args(Ties),
    "vote": get_args(Vote),
    "tie": get_args(Tie),
    "divide": get_args(Divide),
}
DENSITIES = {"ties": 0.2, "dare": 0.5}
"""Densities where none is given; the others keep everything."""

METHODS = {"ties": "ties", "task_arithmetic": "task-arithmetic", "linear": "linear", "slerp": "slerp"}
"""mergekit's names of what we do as it does."""

CONFIG_LIMIT = 1 << 20


@dataclass(frozen=True)
class Request:
    """The models and the recipe that were asked for; `dtype` where a configuration names one."""

    base: str
    tuned: tuple[str, ...]
    recipe: Recipe
    dtype: str | None = None
    notes: tuple[str, ...] = ()


def asked(base: str, tuned: Sequence[str], like: str, chosen: Mapping[str, Any]) -> Request:
    """The request behind a command line. A lone `.yaml` or `.yml` is a mergekit configuration.

    Raises UsageError for a name that is no choice, and for a field of a configuration that is not done here.
    """
    if not tuned and base.lower().endswith((".yaml", ".yml")):
        return from_mergekit(base)
    if like not in CONVENTIONS:
        raise UsageError(f'no conventions "{like}"', next=f"choose one of {', '.join(CONVENTIONS)}")
    given = {name: value for name, value in chosen.items() if value is not None}
    for name, choices in CHOICES.items():
        if given.get(name, choices[0]) not in choices:
            raise UsageError(f'--{name} "{given[name]}" is unknown', next=f"choose one of {', '.join(choices)}")
    method = str(given["method"])
    density = given.pop("density", None)
    densities = (DENSITIES.get(method, 1.0),) if density is None else _numbers("--density", str(density))
    weights = _numbers("--weight", str(given.pop("weight")))
    recipe = Recipe(**{**CONVENTIONS[like], **given}, densities=densities, weights=weights)
    return Request(base, tuple(tuned), recipe)


def _numbers(option: str, text: str) -> tuple[float, ...]:
    try:
        found = tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError:
        found = ()
    if not found:
        raise UsageError(f"{option} {text} is no number", next=f"write {option} 0.5 or {option} 0.5,0.3")
    return found


def from_mergekit(path: str) -> Request:
    """The same from a mergekit configuration, with its conventions.

    Raises UsageError naming the first field that says something we do not do as mergekit does.
    """
    config = _read(path)
    fields = _Fields(path, config)
    method = fields.taken("merge_method")
    if method not in METHODS:
        raise fields.refused("merge_method", f'"{method}" is not done as mergekit does it')
    models = [_Fields(path, model, "models") for model in fields.listed("models")]
    named = [(str(model.taken("model")), model.mapping("parameters")) for model in models]
    for model in models:
        model.finish()
    base = fields.taken("base_model") if METHODS[method] != "linear" else named[0][0] if named else None
    if not isinstance(base, str):
        raise fields.refused("base_model", "there is none")
    recipe, dtype = _recipe(METHODS[method], base, named, fields)
    tokenizer = fields.taken("tokenizer_source")
    if tokenizer not in (None, "base"):
        raise fields.refused("tokenizer_source", "the tokenizer is always the base's")
    fields.finish()
    notes = (
        ()
        if dtype in (None, "float32")
        else (f"{path}: sums are formed in float64 and stored as {dtype}; mergekit computes in {dtype} throughout",)
    )
    tuned = tuple(name for name, _ in named if name != base)
    return Request(base, tuned, recipe, dtype, notes)


def _recipe(method: str, base: str, named: Sequence[tuple[str, _Fields]], fields: _Fields) -> tuple[Recipe, str | None]:
    shared = fields.mapping("parameters")
    shared.taken("int8_mask")  # how mergekit holds its mask in memory; the numbers are the same
    if shared.taken("rescale"):
        raise shared.refused("rescale", "trimmed task vectors are not rescaled here")
    values: dict[str, Any] = {**CONVENTIONS["mergekit"], "method": method, "factor": shared.number("lambda", 1.0)}
    normalize = shared.taken("normalize")
    if normalize is None:
        normalize = method in ("ties", "linear")
    if method == "task-arithmetic" and normalize:
        raise shared.refused("normalize", "task arithmetic is not divided by its weights here")
    values["divide"] = "weights" if normalize else "none"
    values["t"] = shared.number("t", 0.5)
    common = {name: shared.number(name, default) for name, default in (("weight", None), ("density", 1.0))}
    weights, densities = [], []
    for name, own in named:
        weight, density = (own.number(key, common[key]) for key in ("weight", "density"))
        own.finish()
        if name == base and method != "linear":
            continue
        if weight is None and method != "slerp":
            raise own.refused("weight", f"there is none for {name}")
        weights.append(1.0 if weight is None else weight)
        densities.append(density)
    shared.finish()
    values["densities"] = tuple(densities[1:] if method == "linear" else densities)
    values["weights"] = tuple(weights)
    out, computed = fields.taken("out_dtype"), fields.taken("dtype")
    return Recipe(**values), out or computed


class _Fields:
    """A mapping of a configuration whose fields are taken one by one; what is left over is refused by name."""

    def __init__(self, path: str, found: Any, where: str = "") -> None:
        if not isinstance(found, dict):
            raise FormatError(f"{where or 'the whole'} is no mapping", file=path)
        self._path, self._where, self._left = path, where, dict(found)

    def taken(self, name: str) -> Any:
        return self._left.pop(name, None)

    def number(self, name: str, default: float | None) -> Any:
        value = self._left.pop(name, None)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise self.refused(name, "only one number for all tensors is understood")
        try:
            return float(value)
        except ValueError:
            raise self.refused(name, f'"{value}" is no number') from None

    def listed(self, name: str) -> list[Any]:
        found = self._left.pop(name, None)
        if not isinstance(found, list) or not found:
            raise self.refused(name, "a list of models is needed")
        return found

    def mapping(self, name: str) -> _Fields:
        return _Fields(self._path, self._left.pop(name, None) or {}, self._place(name))

    def finish(self) -> None:
        """Raises UsageError for the first field that nobody took."""
        for name in self._left:
            raise self.refused(name, "is not done here")

    def refused(self, name: str, why: str) -> UsageError:
        return UsageError(f"{self._place(name)}: {why}", file=self._path, next="leave it out, or use mergekit")

    def _place(self, name: str) -> str:
        return f"{self._where}.{name}" if self._where else name


def _read(path: str) -> Any:
    try:
        import yaml
    except ImportError as error:
        raise missing_extra("merge", "mergekit configurations") from error
    try:
        if os.path.getsize(path) > CONFIG_LIMIT:
            raise FormatError(f"is longer than {CONFIG_LIMIT} bytes", file=path)
        with open(path, encoding="utf-8") as file:
            return yaml.safe_load(file)
    except OSError as error:
        raise MissingError(f"cannot be read: {error.strerror}", file=path) from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise FormatError(f"is no YAML: {str(error).splitlines()[0]}", file=path) from error
