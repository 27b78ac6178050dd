"""Measures the house: how large its rooms and files are, what only one neighbour reads, how many names are public.

`python tools/house.py` prints a table; `--check` also exits 1 where a limit is passed. Cycles and layers are held by
the import contracts of `pyproject.toml`.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1] / "src"

MOST_LINES = 400
MOST_ENTRIES = 20
MOST_PUBLIC = 60
MOST_ARGUMENTS = 12
CONTENTS = ("kaibo", "kaibo/chapters")
"""Folders that are tables of contents: the rooms, and a folder for each command."""


def modules() -> dict[str, Path]:
    """Every module by its dotted name."""
    found = {}
    for path in sorted(SOURCE.rglob("*.py")):
        name = ".".join(path.relative_to(SOURCE).with_suffix("").parts)
        found[name.removesuffix(".__init__")] = path
    return found


def imports(path: Path, known: Mapping[str, Path]) -> set[str]:
    """The modules of the project that a file imports, at its top or inside its functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {
                inner if (inner := f"{node.module}.{alias.name}") in known else node.module for alias in node.names
            }
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found & set(known)


def lone(known: Mapping[str, Path]) -> list[str]:
    """Modules that a single file of their own folder imports and nothing else."""
    readers: dict[str, set[str]] = {name: set() for name in known}
    for name, path in known.items():
        for target in imports(path, known):
            readers[target].add(name)
    return [
        name
        for name, by in readers.items()
        if len(by) == 1 and next(iter(by)).rpartition(".")[0] == name.rpartition(".")[0]
    ]


def entries() -> Iterator[tuple[str, int]]:
    """Every folder of code with the number of modules and folders in it, `__init__` and the like left out."""
    for folder in sorted({path.parent for path in SOURCE.rglob("*.py")}):
        held = [one for one in folder.iterdir() if one.suffix == ".py" or (one.is_dir() and any(one.rglob("*.py")))]
        yield str(folder.relative_to(SOURCE)), sum(not one.name.startswith("__") for one in held)


def public_names() -> int:
    """How many names `kaibo` offers."""
    tree = ast.parse((SOURCE / "kaibo" / "__init__.py").read_text(encoding="utf-8"))
    homes = next(
        node.value for node in tree.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_HOMES"
    )
    return sum(len(names) for names in ast.literal_eval(homes).values()) + 4  # the three spaces and the version


def arguments() -> Iterator[tuple[str, int]]:
    """Every function of the files of commands with how many arguments it takes; a group of options is one."""
    for path in sorted(SOURCE.rglob("chapters/*/command.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                yield f"{path.parent.name}.{node.name}", len(node.args.args) + len(node.args.kwonlyargs)


def main() -> int:
    """Prints the measurements; with `--check`, 1 where a limit is passed."""
    known = modules()
    lines = {name: path.read_text(encoding="utf-8").count("\n") for name, path in known.items()}
    crowded = {name: count for name, count in entries() if count > MOST_ENTRIES and name not in CONTENTS}
    long = {name: count for name, count in lines.items() if count > MOST_LINES}
    public = public_names()
    wide = {name: count for name, count in arguments() if count > MOST_ARGUMENTS}
    rows = (
        ("files", len(known)),
        ("lines", sum(lines.values())),
        ("files that one neighbour alone imports", len(lone(known))),
        ("most entries in a folder", max(count for name, count in entries() if name not in CONTENTS)),
        ("chapters", dict(entries())["kaibo/chapters"]),
        ("public names", public),
        ("files over 400 lines", len(long)),
        ("most arguments of a command", max(count for _, count in arguments())),
    )
    for what, count in rows:
        print(f"{what:40} {count:8,}")
    faults = [f"{name}: {count} entries, at most {MOST_ENTRIES}" for name, count in crowded.items()]
    faults += [f"{name}: {count} lines, at most {MOST_LINES}" for name, count in long.items()]
    faults += [f"{name}: {count} arguments, at most {MOST_ARGUMENTS}" for name, count in wide.items()]
    faults += [f"{public} public names, at most {MOST_PUBLIC}"] if public > MOST_PUBLIC else []
    print("\n".join(faults))
    return bool(faults) if "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
