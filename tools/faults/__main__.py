"""`make faults`: every command with every kind of input of FAULTS.md, and a table of what was promised and held.

Each result is a line of a file as soon as it is there, so a run that was stopped goes on where it was; `--again` tries
again what was not as promised. `--short` tries a few inputs on each command without torch, in seconds. Exit 1 where
anything was not as promised.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import gc
import importlib
import json
import os
import pkgutil
import sys
import time
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests"), str(ROOT / "tests" / "documents")]
for name, text in {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "KAIBO_NETWORK_SECONDS": "1"}.items():
    os.environ.setdefault(name, text)
os.environ.setdefault("KAIBO_CACHE", str(Path.home() / ".cache" / "kaibo"))  # children have another home

from kaibo.testing import tiny_model  # noqa: E402
from lines import Case, cases  # noqa: E402 - the paths come first
from running import run  # noqa: E402

TORCH = ("score", "eval", "corrupt", "trends", "generate", "decode", "context", "quantise", "probe", "trajectories",
         "train", "nursery", "rescale", "pass-at-k", "study run")  # fmt: skip
"""Commands that are left out of the short form."""

MODELS = ("kaibo.llama", "kaibo.scoring", "kaibo.recipes", "kaibo.testing")

CLASSES = {
    "S": "safetensors files", "F": "folders and shards", "P": "pickles, configs, code", "G": "GGUF",
    "D": "documents", "T": "tables", "X": "texts", "K": "places and stores", "H": "64 GiB", "N": "addresses",
    "C": "words and numbers",
}  # fmt: skip


def main() -> int:
    """Runs what has no result yet and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "faults")
    parser.add_argument("--minutes", type=float, default=1e9, help="stop after so long; the next run goes on")
    parser.add_argument("--only", default="", help="only cases whose key contains this")
    parser.add_argument("--again", action="store_true", help="run again what was not as promised")
    asked = parser.parse_args()
    asked.work.mkdir(parents=True, exist_ok=True)
    chosen = [case for case in cases() if asked.only in case.key]
    chosen = few(chosen) if asked.short else chosen
    results = asked.work / ("short.jsonl" if asked.short else "results.jsonl")
    if asked.short:
        results.unlink(missing_ok=True)
    done = kept(results, asked.again)
    load(asked.short)
    until = time.monotonic() + 60 * asked.minutes
    world = made(asked.work / ("short" if asked.short else "world"), asked.short)
    with results.open("a") as lines:
        for case in chosen:
            if time.monotonic() > until:
                break
            if case.key not in done:
                outcome = run(case, world, asked.work / "scratch")
                done[case.key] = {"key": case.key, "kind": case.kind, **dataclasses.asdict(outcome)}
                lines.write(json.dumps(done[case.key]) + "\n")
                lines.flush()
    return shown([done[case.key] for case in chosen if case.key in done], len(chosen))


def few(some: Iterable[Case]) -> list[Case]:
    """An input of each class in turn at the first place of each command that needs no torch: two for each."""
    listed = [case for case in some if case.command not in TORCH and case.kind != "H"]
    first = {
        command: min(one.at for one in listed if one.command == command) for command in {one.command for one in listed}
    }
    found = []
    for turn, command in enumerate(sorted(first)):
        kinds = {one.kind: one for one in listed if one.command == command and one.at == first[command]}
        order = sorted(kinds)
        found += [kinds[order[(2 * turn + step) % len(order)]] for step in range(2)]
    return found


def kept(results: Path, again: bool) -> dict[str, Any]:
    """The results that are there; a torn last line is none."""
    found = {}
    for line in results.read_text().splitlines() if results.exists() else ():
        try:
            one = json.loads(line)
        except ValueError:
            continue
        if not (again and one["fault"]):
            found[one["key"]] = one
    return found


def load(short: bool) -> None:
    """All that a command may import, once: a child has it then. The short form leaves out what runs models."""
    import kaibo

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for module in pkgutil.walk_packages(kaibo.__path__, "kaibo."):
            if not module.name.endswith("__main__") and not (short and module.name.startswith(MODELS)):
                with contextlib.suppress(ImportError):  # the name of an extra that is not installed
                    importlib.import_module(module.name)
        importlib.import_module("numba")
    gc.collect()
    gc.freeze()


def made(world: Path, short: bool) -> Path:
    """The examples, and stores that have something to say; made in a child, which may start threads."""
    if not (world / "store").is_dir():
        if os.fork() == 0:
            try:
                _make(world, short)
                os._exit(0)
            finally:
                os._exit(1)
        if os.wait()[1]:
            raise SystemExit("the examples cannot be made")
    return world


def _make(world: Path, short: bool) -> None:
    import kaibo
    from examples import write_examples, write_further

    if short:
        for place, name in enumerate(("my-model", "other-model", "third-model", "my-run/step1", "my-run/step2")):
            tiny_model(world / name, seed=place, layers=1)
    else:
        write_examples(world)
        write_further(world)
    for name in ("a-store", "b-store", "store"):
        kaibo.census(world / ("other-model" if name[0] == "b" else "my-model"), settings=kaibo.Settings(world / name))


def shown(results: list[dict[str, Any]], all_of_them: int) -> int:
    """The table, then each that was not as promised; how many exit codes say so."""
    print(f"{'class':28}{'tried':>8}{'as promised':>13}{'worst time':>12}{'worst memory':>14}")
    for kind, title in (*CLASSES.items(), ("", "all")):
        some = [one for one in results if kind in ("", one["kind"])]
        if some:
            good = sum(not one["fault"] for one in some)
            worst, most = max(one["seconds"] for one in some), max(one["memory"] for one in some)
            print(f"{title:28}{len(some):8,}{good:13,}{worst:10.1f} s{most / 2**20:11,.0f} MB")
    print(f"{len(results):,} of {all_of_them:,} runs, {len({one['key'].split(' | ')[0] for one in results})} commands")
    bad = [one for one in results if one["fault"]]
    for one in bad:
        print(f"{one['key']}: {one['fault']}; {one['said'].strip()[-200:]}")
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main())
