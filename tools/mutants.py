"""`make mutants N=60`: do the tests bite? One slip at a time in the numbers, and the tests of the room must notice.

Seeded: the same N and seed give the same slips. Each changes one comparison, operator, constant or returned value of a
copy of the source, and the tests of its room run against it, slow ones left out. Prints the share that was noticed and
what was not. A slip that changes nothing that can be observed counts as not noticed, too.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
KAIBO = ROOT / "src" / "kaibo"
ROOMS: dict[str, tuple[str, ...]] = {
    "counting": (
        "tests/census",
        "tests/analyses/test_stats_beside_numpy.py",
        "tests/analyses/test_differences_laws.py",
    ),
    "models/formats": ("tests/models/formats", "tests/models/test_shards_and_folders.py"),
    "models/packings": ("tests/models/packings",),
    "uncertainty": ("tests/uncertainty",),
    "store": ("tests/store",),
    "chapters": ("tests/analyses", "tests/chapters"),
}
"""A room of `src/kaibo` and the tests that are its own."""

SHOWN = ("command.py", "ask.py", "draw.py", "rows.py", "opened.py", "options.py", "words.py", "__init__.py")
"""Files of chapters that parse, ask, draw or list: what is left computes."""

SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.And: ast.Or, ast.Or: ast.And, ast.LShift: ast.RShift, ast.RShift: ast.LShift, ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip


@dataclass(frozen=True)
class Slip:
    """One change: the room, the file, the place in the order of its nodes, and in words."""

    room: str
    path: Path
    at: int
    line: int
    words: str


def slips(room: str) -> Iterator[Slip]:
    """Every slip that can be made in a room."""
    for path in sorted((KAIBO / room).rglob("*.py")):
        if path.name in SHOWN:
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        silent = {id(inner) for node in ast.walk(tree) if _silent(node) for inner in ast.walk(node)}
        for at, node in enumerate(ast.walk(tree)):
            if id(node) not in silent and (words := changed(node)):
                yield Slip(room, path, at, getattr(node, "lineno", 0), words)


def _silent(node: ast.AST) -> bool:
    """What no test can or need notice: annotations, messages of errors, texts that stand alone, what a type needs."""
    texts = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    typing = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
    return texts or typing or isinstance(node, ast.Raise | ast.arg | ast.JoinedStr | ast.Assert | ast.Import)


def changed(node: ast.AST, *, apply: bool = False) -> str:
    """What a slip at a node would be, in words, or '' where there is none; with `apply` it is made."""
    before = ast.unparse(node) if isinstance(node, ast.expr | ast.Return) else ""
    if isinstance(node, ast.Compare) and type(node.ops[0]) in SWAPS:
        new: ast.AST = ast.Compare(node.left, [SWAPS[type(node.ops[0])](), *node.ops[1:]], node.comparators)  # type: ignore[list-item]
        target = "ops"
    elif isinstance(node, ast.BinOp | ast.BoolOp) and type(node.op) in SWAPS and not _of_text(node):
        new, target = type(node)(**{**dict(ast.iter_fields(node)), "op": SWAPS[type(node.op)]()}), "op"
    elif isinstance(node, ast.Constant) and type(node.value) in (int, float, bool):
        value = node.value
        new, target = ast.Constant(not value if isinstance(value, bool) else value + 1), "value"
    elif isinstance(node, ast.Return) and node.value is not None and not _plain(node.value):
        new, target = ast.Return(ast.Constant(None)), "value"
    else:
        return ""
    words = f"{before}  ->  {ast.unparse(ast.fix_missing_locations(new))}"
    if apply:
        setattr(node, target, getattr(new, target))
    return words


def _of_text(node: ast.BinOp | ast.BoolOp) -> bool:
    return any(isinstance(one, ast.JoinedStr) or isinstance(getattr(one, "value", None), str) for one in ast.walk(node))


def _plain(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant)


def tests_of(slip: Slip) -> list[str]:
    """The files of tests of its room; in a chapter those that speak of it."""
    files = [path for place in ROOMS[slip.room] for path in sorted((ROOT / place).rglob("test_*.py"))]
    files += [ROOT / place for place in ROOMS[slip.room] if place.endswith(".py")]
    if slip.room == "chapters":
        chapter = slip.path.relative_to(KAIBO / "chapters").parts[0]
        names = (f"chapters.{chapter}", f"kaibo.{chapter}(", f"tests/chapters/{chapter}/")
        files = [path for path in files if any(name in f"{path}{path.read_text(encoding='utf-8')}" for name in names)]
    return [str(path) for path in files]


def tried(slip: Slip, copy: Path, limit: float) -> str:
    """Makes a slip in the copy of the source and runs the tests of the room: noticed, alive, or out of time."""
    plain = slip.path.read_text(encoding="utf-8")
    place = copy / slip.path.relative_to(ROOT / "src")
    tree = ast.parse(plain)
    changed(next(node for at, node in enumerate(ast.walk(tree)) if at == slip.at), apply=True)
    place.write_text(ast.unparse(ast.fix_missing_locations(tree)), encoding="utf-8")
    compiles = "import compiled" in plain or "summing" in plain  # numba's cache does not see that a callee changed
    try:
        return passed(tests_of(slip), copy, copy.parent / "fresh" if compiles else None, limit)
    finally:
        shutil.copy2(slip.path, place)
        shutil.rmtree(copy.parent / "fresh", ignore_errors=True)


def passed(tests: list[str], copy: Path, cache: Path | None, limit: float) -> str:
    """How the tests end against the copy."""
    if not tests:
        return "alive"
    line = [sys.executable, "-m", "pytest", "-q", "-x", "-m", "not slow", "-p", "no:cacheprovider", *tests]
    kept = copy.parent / "cache" if cache is None else cache
    environment = {**os.environ, "PYTHONPATH": str(copy), "KAIBO_CACHE": str(kept)}
    try:
        ran = subprocess.run(line, cwd=ROOT, env=environment, capture_output=True, timeout=limit, check=False)
    except subprocess.TimeoutExpired:
        return "out of time"
    return "alive" if ran.returncode in (0, 5) else "noticed"


def main() -> int:
    """Draws the slips, tries them, prints the share and the survivors."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("n", type=int, nargs="?", default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--room", choices=ROOMS, action="append", help="only this room; may be repeated")
    parser.add_argument("--limit", type=float, default=600, help="seconds for the tests of one slip")
    parser.add_argument("--results", type=Path, default=ROOT / "build" / "mutants.jsonl")
    asked = parser.parse_args()
    dice = random.Random(asked.seed)
    rooms = asked.room or list(ROOMS)
    drawn = {room: dice.sample(found, len(found)) for room in rooms if (found := list(slips(room)))}
    order = [drawn[room][turn] for turn in range(asked.n) for room in rooms if turn < len(drawn[room])][: asked.n]
    copy = asked.results.parent / "mutant" / "src"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(ROOT / "src", copy, ignore=shutil.ignore_patterns("__pycache__"))  # keeps the times of files
    done = {}
    if asked.results.exists():
        done = {one["key"]: one["end"] for one in map(json.loads, asked.results.read_text().splitlines())}
    for slip in order:
        key = f"{slip.path.relative_to(KAIBO)}:{slip.line}: {slip.words}"
        if key not in done:
            done[key] = tried(slip, copy, asked.limit)
            with asked.results.open("a") as lines:
                lines.write(json.dumps({"key": key, "room": slip.room, "end": done[key]}) + "\n")
            print(f"{done[key]:12} {key}", flush=True)
    return shown(order, done)


def shown(order: list[Slip], done: dict[str, str]) -> int:
    """The share that was noticed in each room, and what was not."""
    ends = [(one, done[f"{one.path.relative_to(KAIBO)}:{one.line}: {one.words}"]) for one in order]
    print(f"{'room':20}{'slips':>7}{'noticed':>9}")
    for room in (*dict.fromkeys(one.room for one, _ in ends), "all"):
        some = [end for one, end in ends if room in ("all", one.room)]
        print(f"{room:20}{len(some):7}{sum(end != 'alive' for end in some):9}")
    for one, end in ends:
        if end == "alive":
            print(f"alive: {one.path.relative_to(KAIBO)}:{one.line}: {one.words}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
