"""One file, many runs: lists in `[matrix]`, several `[[runs]]`, named `[sets]` of data, chains by `run:NAME`.

name = "styles"                     runs are called after their template: {data}, {seed}, {learning_rate} …
[matrix]                            every combination becomes a run
seed = [42, 100]
[sets.plain]                        data under a name; `data = "plain"` uses it
files = ["plain.jsonl"]
other = "polite"                    for DPO: the set whose answers are rejected when these are chosen
[[runs]]                            each adds its own settings and matrix to those above
name = "SFT_{data}_{seed}"
matrix.data = ["plain", "polite"]
[[runs]]
name = "DPO_{data}_{seed}"
base = "run:SFT_both_{seed}"        a chain: on top of the run of that name
"""

from __future__ import annotations

import itertools
import math
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from importlib import resources
from pathlib import Path
from typing import Any

from kaibo.documents.fields import Place, names_of, read, unknown
from kaibo.documents.reading import TOML_LIMIT, read_text
from kaibo.documents.toml_text import toml_lines, toml_value
from kaibo.errors import UsageError, escaped
from kaibo.recipes.settings.schema import Form, Recipe

Table = dict[str, Any]
RUN = "run:"
NAMES = ("data", *names_of(Recipe))
"""What `--set` and `[matrix]` may name."""

LIMIT = 4096
"""Runs that one file may become."""

_NAME = re.compile(r"[A-Za-z0-9][\w.+=-]{0,127}")
_OUTER = ("name", "matrix", "runs", "sets", "data", "description")
_CHAIN = 256
"""Runs that may build on each other, and sets that may hold each other."""

LineOf = Callable[[Place], int | None]


@dataclass(frozen=True)
class _Set:
    """Data under a name."""

    files: tuple[str, ...] = ()
    rejected: tuple[str, ...] = ()
    form: Form = "auto"
    split: str = "train"
    limit: int | None = None
    other: str | None = None
    union: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Outline:
    """What a file says around its runs."""

    name: str = ""
    description: str = ""
    matrix: Mapping[str, Any] = field(default_factory=dict)
    sets: Mapping[str, _Set] = field(default_factory=dict)
    runs: tuple[Mapping[str, Any], ...] = ()


def read_recipes(
    recipe: str | os.PathLike[str], overrides: Mapping[str, Any] | None = None, data: Mapping[str, str] | None = None
) -> list[Recipe]:
    """The runs of a recipe file, or of a shipped one by its name, parents before what is built on them.

    `overrides` are settings by dotted name that every run gets; `data` gives files to named sets. Raises
    MissingError for a file that is not there, FormatError for what is no TOML, UsageError for what is wrong in it.
    """
    text, shown, folder = _text(os.fspath(recipe))
    table = toml_value(text, shown)
    line_of = _line_of(text, overrides or {})
    outline = {name: value for name, value in table.items() if name in {one.name for one in fields(_Outline)}}
    read(_Outline, outline, shown, line_of=line_of, wrong=UsageError)
    _known(table, shown, line_of)
    for name, file in (data or {}).items():
        if name not in table.get("sets", {}):
            raise unknown(name, list(table.get("sets", {})), shown)
        table["sets"][name] = {**table["sets"][name], "files": [file]}
    for place in (table, *table.get("runs", [])):
        if isinstance(place.get("base"), str):
            place["base"] = _beside(folder, place["base"])
    above = dict(overrides or {})
    if "base" in above:  # a chain keeps its parent; the base that is given goes below it
        table["base"] = above.pop("base")
    runs = [_recipe(one, folder, shown, line_of) for one in _expanded(table, above, shown)]
    _distinct(runs, shown)
    return in_order(runs, shown)


def shipped_recipes() -> dict[str, str]:
    """The recipes that come with kaibo: name to text."""
    folder = resources.files("kaibo.recipes") / "shipped"
    return {
        file.name.removesuffix(".toml"): file.read_text(encoding="utf-8")
        for file in folder.iterdir()
        if file.name.endswith(".toml")
    }


def _text(recipe: str) -> tuple[str, str, Path]:
    path = Path(recipe)
    shipped = {} if path.suffix or path.exists() else shipped_recipes()
    if recipe in shipped:
        return shipped[recipe], f"{recipe} (shipped)", Path()
    ships = f"shipped recipes: {', '.join(sorted(shipped_recipes()))}"
    return read_text(recipe, TOML_LIMIT, ships), recipe, path.parent


def _expanded(table: Table, overrides: Mapping[str, Any], file: str) -> Iterator[Table]:
    """Every combination as a plain table, its name filled in and its data set looked up."""
    shared = {key: value for key, value in table.items() if key not in ("runs", "sets", "matrix", "description")}
    sets = table.get("sets", {})
    count = 0
    for run in table.get("runs") or [{}]:
        own = {key: value for key, value in run.items() if key != "matrix"}
        matrix = {**_lists(table.get("matrix", {}), file), **_lists(run.get("matrix", {}), file)}
        matrix = {name: values for name, values in matrix.items() if name not in overrides}
        count += math.prod(map(len, matrix.values()))
        if count > LIMIT:
            raise UsageError(f"becomes more than {LIMIT} runs", file=file, next="shorten the lists of [matrix]")
        for values in itertools.product(*matrix.values()):
            chosen = dict(zip(matrix, values, strict=True))
            merged = _layered(_layered(shared, own), {})
            for name, value in {**chosen, **overrides}.items():
                _put(merged, name, value, file)
            named = {**{_last(name): value for name, value in overrides.items()}, **_short(chosen)}
            yield _filled(merged, named, list(_short(chosen)), sets, file)


def _line_of(text: str, overrides: Mapping[str, Any]) -> LineOf:
    """The line of a setting: the first that ends so, at the top or in a run; none for what the command line set."""

    def line_of(place: Place) -> int | None:
        if ".".join(map(str, place)) in overrides:
            return None
        return next((line for path, line in toml_lines(text).items() if path[-len(place) :] == place), None)

    return line_of


def _known(table: Table, file: str, line_of: LineOf) -> None:
    known = sorted({name.partition(".")[0] for name in NAMES} | set(_OUTER) | set(NAMES))
    for place in (table, *table.get("runs", [])):
        for name in place:
            if name not in known:
                line = line_of((name,))
                raise unknown(name, known, file, "" if line is None else f"line {line}: ")


def _lists(matrix: Any, file: str, prefix: str = "") -> Table:
    """A matrix by dotted names; nested tables are opened."""
    found: Table = {}
    for name, values in matrix.items():
        if isinstance(values, Mapping):
            found |= _lists(values, file, f"{prefix}{name}.")
        elif not isinstance(values, list) or not values:
            raise UsageError(f"matrix.{prefix}{name} is no list of values", file=file, next="write it as [a, b]")
        else:
            if f"{prefix}{name}" not in NAMES:
                raise unknown(f"{prefix}{name}", list(NAMES), file)
            found[f"{prefix}{name}"] = values
    return found


def _layered(below: Mapping[str, Any], above: Mapping[str, Any]) -> Table:
    """Two tables as one, sections joined field by field."""
    merged: Table = {key: _layered(value, {}) if isinstance(value, Mapping) else value for key, value in below.items()}
    for key, value in above.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _layered(merged[key], value) if both else value
    return merged


def _put(table: Table, name: str, value: Any, file: str) -> None:
    if name not in NAMES:
        raise unknown(name, list(NAMES), file)
    *sections, last = name.split(".")
    for section in sections:
        inner = table.setdefault(section, {})
        if not isinstance(inner, dict):
            raise UsageError(f"{name} cannot be set, {section} is {escaped(repr(inner), 60)}", file=file)
        table = inner
    table[last] = value


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _short(chosen: Mapping[str, Any]) -> Table:
    return {_last(name): value for name, value in chosen.items()}


def _filled(table: Table, named: Mapping[str, Any], varied: Sequence[str], sets: Table, file: str) -> Table:
    """The name, the base and the data with the values of the matrix in them."""
    template = str(table.get("name", Path(file).stem))
    values = {key: _text_of(value) for key, value in named.items()}
    values.setdefault("data", str(table.get("data")) if isinstance(table.get("data"), str) else "")
    values.setdefault("seed", str(table.get("seed", 42)))
    training = table.get("training")
    rate = training.get("learning_rate", 1e-5) if isinstance(training, Mapping) else 1e-5
    values.setdefault("learning_rate", _text_of(rate))
    name = _formatted(template[: 2 * LIMIT], values, file)
    if "{" not in template and varied:
        name += "".join(f"-{key}={values[key]}" for key in varied)
    if not _NAME.fullmatch(name):
        raise UsageError(f"{escaped(name)!r} is no name of a run", file=file, next="use letters, digits and . _ - = +")
    filled = {**table, "name": name}
    if isinstance(table.get("base"), str):
        filled["base"] = _formatted(table["base"], values, file) if table["base"].startswith(RUN) else table["base"]
    filled["data"] = _data(table.get("data", {}), sets, str(table.get("kind")), file)
    return filled


def _text_of(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _formatted(template: str, values: Mapping[str, str], file: str) -> str:
    def value(found: re.Match[str]) -> str:
        if found[1] not in values:
            raise UsageError(f"{{{found[1]}}} is nothing that varies", file=file, next=f"names: {', '.join(values)}")
        return values[found[1]]

    return re.sub(r"\{(\w+)\}", value, template)


def _data(data: Any, sets: Table, kind: str, file: str) -> Table:
    """The table of the data: as it is, or that of a named set with its union opened and its other style beside it."""
    if not isinstance(data, str):
        return dict(data) if isinstance(data, Mapping) else {"files": data}
    if data not in sets:
        if not sets:
            return {"files": [data]}
        raise unknown(data, list(sets), file)
    entry = dict(sets[data])
    files = _files(data, sets, file, ())
    other = entry.pop("other", None)
    entry.pop("union", None)
    if kind == "dpo" and other is not None:
        if other not in sets:
            raise unknown(str(other), list(sets), file)
        entry["rejected"] = _files(other, sets, file, ())
    return {**entry, "files": files}


def _files(name: str, sets: Table, file: str, seen: tuple[str, ...]) -> list[str]:
    if name not in sets:
        raise unknown(name, list(sets), file)
    if name in seen:
        raise UsageError(f"set {name} holds itself", file=file)
    entry = sets[name]
    files = entry.get("files", [])
    files = [files] if isinstance(files, str) else list(files)
    if len(seen) > _CHAIN:
        raise UsageError(f"set {name} is the {_CHAIN}th of sets that hold each other", file=file)
    if not files and not entry.get("union"):
        raise UsageError(f"set {name} has no files", file=file, next=f"give them with --data {name}=FILE")
    union = entry.get("union", ())
    for part in [union] if isinstance(union, str) else union:
        files += _files(part, sets, file, (*seen, name))
        if len(files) > LIMIT:
            raise UsageError(f"set {name} holds more than {LIMIT} files", file=file)
    return files


def _recipe(table: Table, folder: Path, file: str, line_of: LineOf) -> Recipe:
    """The typed recipe; files that are named beside the recipe are found from its folder."""
    data = dict(table["data"])
    for key in ("files", "rejected"):
        files = data.get(key, [])
        files = [files] if isinstance(files, str) else files
        if isinstance(files, list):
            data[key] = [_beside(folder, one) if isinstance(one, str) else one for one in files]
    recipe = read(Recipe, {**table, "data": data}, file, line_of=line_of, wrong=UsageError)
    if recipe.kind != "pretrain" and not recipe.base:
        raise UsageError(f"run {recipe.name} has no base", file=file, next="name one in the recipe or with --base")
    if recipe.kind != "pretrain" and not recipe.data.files:
        raise UsageError(f"run {recipe.name} has no data", file=file, next='write [data] files = ["answers.jsonl"]')
    if recipe.training.epochs == 0 and recipe.training.steps is None:
        raise UsageError(f"run {recipe.name} trains for no epoch", file=file, next="set training.epochs or .steps")
    return recipe


def _beside(folder: Path, path: str) -> str:
    """The path from where kaibo runs, of a file that lies beside the recipe; else the path as it stands."""
    beside = folder / path
    return str(beside) if path and not re.match(r"[a-z]+:", path) and beside.exists() else path


def _distinct(runs: Sequence[Recipe], file: str) -> None:
    seen: set[str] = set()
    for run in runs:
        if run.name in seen:
            raise UsageError(f"two runs are called {run.name}", file=file, next="name what varies: name = 'a_{seed}'")
        seen.add(run.name)


def in_order(runs: Sequence[Recipe], file: str) -> list[Recipe]:
    """Parents before children, else in the order of the file. A run: base outside the file is looked up later."""
    names = {run.name: run for run in runs}
    ordered: dict[str, Recipe] = {}

    def place(run: Recipe, below: tuple[str, ...]) -> None:
        if run.name in below:
            raise UsageError(f"the chain of {run.name} leads back to itself", file=file)
        if len(below) > _CHAIN:
            raise UsageError(f"{run.name} is built on more than {_CHAIN} runs", file=file)
        parent = run.base.removeprefix(RUN) if run.base.startswith(RUN) else ""
        if parent in names:
            place(names[parent], (*below, run.name))
        ordered.setdefault(run.name, run)

    for run in runs:
        place(run, ())
    return list(ordered.values())
