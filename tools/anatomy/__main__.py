"""`python tools/anatomy [TYPE …]`: generates the anatomy and the proof of each type, those that are missing first."""

from __future__ import annotations

import json
import multiprocessing
import os
import pathlib
import sys
import time
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import torch

from building import Unit
from caching import cache_rows
from describing import Describer, stacks_in
from exploring import explore, fields_of, shrunk
from proving import proof
from replaying import differences
from reporting import page
from units import CAUSAL, WRAPPERS, Part, part_unit, parts_of, unit
from writing import toml

ROOT = pathlib.Path(__file__).parents[2]
FAMILIES = ROOT / "src/kaibo/models/anatomy/generated"
PROOFS = ROOT / "tests/models/proofs"
STATE = ROOT / ".anatomy"
PAGE = ROOT / "docs/families.md"
JOBS = int(os.environ.get("JOBS", "2"))


def main(wanted: list[str]) -> None:
    """Each type that was asked for (all: those that are not done), several at once, each in a process of its own."""
    for folder in (FAMILIES, PROOFS, STATE):
        folder.mkdir(parents=True, exist_ok=True)
    types = wanted or list(dict.fromkeys([*CAUSAL, *WRAPPERS]))
    left = [t for t in types if not (STATE / f"{t}.log").exists() or wanted]
    torch.set_num_threads(1)
    with multiprocessing.get_context("fork").Pool(JOBS, maxtasksperchild=4) as pool:
        for model_type, said in pool.imap_unordered(one_type, left):
            print(model_type, said.strip().splitlines()[-1][:160] if said.strip() else "nothing to build", flush=True)
    PAGE.write_text(page(FAMILIES, STATE), encoding="utf-8")


def one_type(model_type: str) -> tuple[str, str]:
    """One type and what there is to say of it; a failure is one of the things to say."""
    one = unit(model_type)
    if one is None:
        return model_type, ""
    try:
        said = one_family(one)
    except Exception:
        said = traceback.format_exc()
    (STATE / f"{model_type}.log").write_text(said)
    return model_type, said


def one_family(one: Unit) -> str:
    """Writes a family, and first the parts of it that nothing else writes; answers with what could not be told."""
    begin = time.process_time()
    given = shrunk(one, fields_of(one))
    parts = parts_of(one, given) if one.config.sub_configs else []
    for part in parts:
        other = unit(part.family) or part_unit(part.family)
        if other is not None and other.name != one.name and not _known(part.family):
            one_family(other)
    return written(one, parts, given, begin)


def keeps(one: Unit, parts: list[Part]) -> bool:
    """Whether a unit writes text by itself, so that it has a cache of its own."""
    return not parts and (one.name in CAUSAL or one.name.endswith(("_text", "--text_config")))


def _known(name: str) -> bool:
    """Whether a family is there, or was tried and not shipped."""
    return (PROOFS / f"{name}.json").exists() or (STATE / f"{name}.json").exists()


def written(one: Unit, parts: list[Part], given: dict[str, object], begin: float) -> str:
    """Explores, describes and writes one family."""
    prefixes = tuple(part.prefix for part in parts)

    def own(name: str) -> bool:
        return not any(name.startswith(prefix) and prefix for prefix in prefixes)

    explored = explore(one, given, own)
    describer = Describer(explored, own)
    describer.describe()
    cached = cache_rows(explored, describer) if keeps(one, parts) else None
    anatomy = describer.finish()
    file, proven = FAMILIES / f"{one.name}.toml", PROOFS / f"{one.name}.json"
    file.write_text(toml(explored, anatomy, parts, cached), encoding="utf-8")
    found = proof(explored, stacks_in(explored.all, lambda name: True), cached is not None)
    text = json.dumps(found, separators=(",", ":"), sort_keys=True)
    proven.write_text(text + "\n", encoding="utf-8")
    wrong = [line for case in found["cases"] for line in differences(one.name, case)]
    if wrong:  # what is not exact is not shipped
        for path in (file, proven):
            path.rename(STATE / path.name)
    problems = "; ".join([*wrong[:6], *anatomy.problems])
    return (
        f"{problems}\n{'problems' if problems else 'whole'} in {time.process_time() - begin:.0f} s: {problems[:120]}\n"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
