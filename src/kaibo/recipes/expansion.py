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
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from kaibo.errors import FormatError, MissingError, UsageError, escaped
from kaibo.recipes.fields import names_of, read, unknown
from kaibo.recipes.schema import Recipe

Table = dict[str, Any]
RUN = "run:"
NAMES = ("data", *names_of(Recipe))
"""What `--set` and `[matrix]` may name."""

LIMIT = 4096
"""Runs that one file may become."""

_NAME = re.compile(r"[A-Za-z0-9][\w.+=-]{0,127}")
_OUTER = ("name", "matrix", "runs", "sets", "data", "description")
_SET = ("files", "rejected", "form", "split", "limit", "other", "union")


def read_recipes(
    recipe: str | os.PathLike[str], overrides: Mapping[str, Any] | None = None, data: Mapping[str, str] | None = None
) -> list[Recipe]:
    """The runs of a recipe file, or of a shipped one by its name, parents before what is built on them.

    `overrides` are settings by dotted name that every run gets; `data` gives files to named sets. Raises
    MissingError for a file that is not there, FormatError for what is no TOML, UsageError for what is wrong in it.
    """
    text, shown, folder = _text(os.fspath(recipe))
    try:
        table: Table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        raise FormatError(f"is no TOML: {problem}", file=shown) from problem
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
    runs = [_recipe(one, folder, shown) for one in _expanded(table, above, shown)]
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
    try:
        return path.read_text(encoding="utf-8"), recipe, path.parent
    except UnicodeDecodeError as problem:
        raise FormatError("is no UTF-8 text", file=recipe, offset=problem.start) from problem
    except OSError as problem:
        ships = f"shipped recipes: {', '.join(sorted(shipped_recipes()))}"
        raise MissingError(f"cannot be read ({problem.strerror})", file=recipe, next=ships) from problem


def _expanded(table: Table, overrides: Mapping[str, Any], file: str) -> Iterator[Table]:
    """Every combination as a plain table, its name filled in and its data set looked up."""
    _known(table, file)
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


def _known(table: Table, file: str) -> None:
    fields = {name.partition(".")[0] for name in NAMES} | set(_OUTER)
    for place in (table, *table.get("runs", [])):
        for name in place:
            if name not in fields:
                raise unknown(name, sorted({*fields, *NAMES}), file)
    for name, entry in table.get("sets", {}).items():
        for key in entry if isinstance(entry, Mapping) else ():
            if key not in _SET:
                raise unknown(f"sets.{name}.{key}", [f"sets.{name}.{known}" for known in _SET], file)


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
    values.setdefault("learning_rate", _text_of(table.get("training", {}).get("learning_rate", 1e-5)))
    name = _formatted(template, values, file)
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
    if not files and not entry.get("union"):
        raise UsageError(f"set {name} has no files", file=file, next=f"give them with --data {name}=FILE")
    return files + [one for part in entry.get("union", ()) for one in _files(part, sets, file, (*seen, name))]


def _recipe(table: Table, folder: Path, file: str) -> Recipe:
    """The typed recipe; files that are named beside the recipe are found from its folder."""
    data = dict(table["data"])
    for key in ("files", "rejected"):
        files = data.get(key, [])
        data[key] = [_beside(folder, str(one)) for one in ([files] if isinstance(files, str) else files)]
    recipe = read(Recipe, {**table, "data": data}, file)
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
        parent = run.base.removeprefix(RUN) if run.base.startswith(RUN) else ""
        if parent in names:
            place(names[parent], (*below, run.name))
        ordered.setdefault(run.name, run)

    for run in runs:
        place(run, ())
    return list(ordered.values())
