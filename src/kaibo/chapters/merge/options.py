"""What a user asks of `kaibo merge`, from options or from a mergekit configuration, as a recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from kaibo.chapters.merge.ask import CONVENTIONS
from kaibo.documents.fields import read, unknown
from kaibo.documents.yaml_text import read_yaml
from kaibo.errors import FormatError, UsageError
from kaibo.vocabulary.merging import Divide, Method, Recipe, Scope, Tie, Ties, Vote
from kaibo.words import Note, about, note

CHOICES: Mapping[str, tuple[str, ...]] = {
    "method": get_args(Method),
    "scope": get_args(Scope),
    "ties": get_args(Ties),
    "vote": get_args(Vote),
    "tie": get_args(Tie),
    "divide": get_args(Divide),
}
METHODS = {"ties": "ties", "task_arithmetic": "task-arithmetic", "linear": "linear", "slerp": "slerp"}
"""mergekit's names of what we do as it does."""

OTHERWISE = "leave it out, or use mergekit"


@dataclass(frozen=True)
class Request:
    """The models and the recipe that were asked for; `dtype` where a configuration names one."""

    base: str
    tuned: tuple[str, ...]
    recipe: Recipe
    dtype: str | None = None
    notes: tuple[Note, ...] = ()


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
    density = given.pop("density", None)
    densities = () if density is None else _numbers("--density", str(density))
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
    found = read_yaml(path)
    if not isinstance(found.value, dict):
        raise FormatError("is not a merge configuration: the whole must be a mapping", file=path)
    config = read(_Config, found.value, path, line_of=found.lines.get, wrong=UsageError, advice=OTHERWISE)
    if config.merge_method not in METHODS:
        raise _refused(path, "merge_method", f'"{config.merge_method}" is not done as mergekit does it')
    if config.tokenizer_source not in (None, "base"):
        raise _refused(path, "tokenizer_source", "the tokenizer is always the base's")
    method = METHODS[config.merge_method]
    base = config.models[0].model if method == "linear" and config.models else config.base_model
    if base is None:
        raise _refused(path, "base_model", "there is none")
    recipe, dtype = _recipe(path, method, base, config), config.out_dtype or config.dtype
    notes = () if dtype in (None, "float32") else (about(str(path), note("merge_dtype", dtype=dtype)),)
    tuned = tuple(one.model for one in config.models if one.model != base)
    return Request(base, tuned, recipe, dtype, notes)


Given = bool | float | str | None


@dataclass(frozen=True)
class _Model:
    model: str
    parameters: Mapping[str, Given] | None = None


@dataclass(frozen=True)
class _Config:
    """A mergekit configuration, as far as it is done here."""

    merge_method: str
    models: tuple[_Model, ...]
    base_model: str | None = None
    parameters: Mapping[str, Given] | None = None
    dtype: str | None = None
    out_dtype: str | None = None
    tokenizer_source: str | None = None


_OWN = ("weight", "density")
_SHARED = (*_OWN, "lambda", "t", "normalize", "rescale", "int8_mask")  # the last is how mergekit holds its mask


def _recipe(path: str, method: str, base: str, config: _Config) -> Recipe:
    shared = _Parameters(path, "parameters", _SHARED, config.parameters or {})
    if shared.given.get("rescale"):
        raise _refused(path, "parameters.rescale", "trimmed task vectors are not rescaled here")
    normalize = shared.given.get("normalize")
    normalize = method in ("ties", "linear") if normalize is None else bool(normalize)
    if method == "task-arithmetic" and normalize:
        raise _refused(path, "parameters.normalize", "task arithmetic is not divided by its weights here")
    weight, density = shared.number("weight", None), shared.number("density", 1.0)
    weights, densities = [], []
    for place, one in enumerate(config.models, 1):
        own = _Parameters(path, f"models[{place}].parameters", _OWN, one.parameters or {})
        named = own.number("weight", weight), own.number("density", density)
        if one.model == base and method != "linear":
            continue
        if named[0] is None and method != "slerp":
            raise _refused(path, f"{own.where}.weight", f"there is none for {one.model}")
        weights.append(1.0 if named[0] is None else named[0])
        densities.append(named[1])
    values: dict[str, Any] = {**CONVENTIONS["mergekit"], "method": method, "factor": shared.number("lambda", 1.0)}
    values |= {"divide": "weights" if normalize else "none", "t": shared.number("t", 0.5), "weights": tuple(weights)}
    return Recipe(**values, densities=tuple(densities[1:] if method == "linear" else densities))


@dataclass(frozen=True)
class _Parameters:
    """The parameters of a model, or of all; a name that is not known here is refused."""

    path: str
    where: str
    known: tuple[str, ...]
    given: Mapping[str, Given]

    def __post_init__(self) -> None:
        for name in self.given:
            if name not in self.known:
                raise unknown(
                    f"{self.where}.{name}", [f"{self.where}.{one}" for one in self.known], self.path, "", OTHERWISE
                )

    def number(self, name: str, default: float | None) -> Any:
        """A parameter as a number, also where YAML reads a text (`1e-3`)."""
        value = self.given.get(name)
        try:
            return default if value is None else float("" if isinstance(value, bool) else value)
        except ValueError:
            raise _refused(self.path, f"{self.where}.{name}", f'"{value}" is not a number') from None


def _refused(path: str, name: str, why: str) -> UsageError:
    return UsageError(f"{name}: {why}", file=path, next=OTHERWISE)
