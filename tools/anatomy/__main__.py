"""`python tools/anatomy [TYPE …]`: generates the anatomy and the proof of each type, those that are missing first.

`--check TYPE …` writes nothing and exits 1 with what it would write otherwise, or what further sizes show; `--page`
writes the page of what is reached alone.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import pathlib
import re
import signal
import sys
import time
import traceback
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import torch

from building import Unit, see
from caching import cache_rows
from describing import Describer, stacks_in
from exploring import explore, fields_of, shrunk
from proving import proof, saved, tensors_of
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
MINUTES = float(os.environ.get("MINUTES", "6"))
STATED = re.compile(
    r'^    \["[^"]*", "[^"]*\b[0-9]{2,}.*$|^    \["[^"]*", "[a-z_.]+", "[^"]*\b[0-9]{3,}.*$', re.MULTILINE
)
"""Rows of tensors and of the cache with a size that is stated as a number, not as fields of the config."""


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
    PAGE.write_text(page(FAMILIES, STATE, PAGE.read_text(encoding="utf-8")), encoding="utf-8")


def one_type(model_type: str) -> tuple[str, str]:
    """One type and what there is to say of it; a failure is one of the things to say."""
    one = unit(model_type)
    if one is None:
        return model_type, ""
    signal.signal(signal.SIGPROF, _stop)
    signal.setitimer(signal.ITIMER_PROF, MINUTES * 60)
    try:
        said = one_family(one)
    except (Exception, TooLong):
        said = traceback.format_exc()
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    (STATE / f"{model_type}.log").write_text(said)
    return model_type, said


class TooLong(BaseException):
    """A type took more time than one may; not an Exception, which the trials of a config would take for a refusal."""


def _stop(*_: object) -> None:
    raise TooLong(f"more than {MINUTES} minutes")


def one_family(one: Unit) -> str:
    """Writes a family, and first the parts of it that nothing else writes; answers with what could not be told."""
    begin = time.process_time()
    given = shrunk(one, fields_of(one))
    parts = parts_of(one, given) if one.config.sub_configs else []
    for part in parts:
        other = unit(part.family) or part_unit(part.family)
        if other is not None and other.name != one.name and not _known(part.family):
            (STATE / f"{part.family}.log").write_text(one_family(other))
    lacking = [part.family for part in parts if not (PROOFS / f"{part.family}.json").exists()]
    reasons = [f"{name}: {(STATE / f'{name}.log').read_text()[:300]}" for name in lacking if _known(name)]
    return "".join(reasons) + written(one, parts, given, begin)


def keeps(one: Unit, parts: list[Part]) -> bool:
    """Whether a unit writes text by itself, so that it has a cache of its own."""
    return not parts and (one.name in CAUSAL or one.name.endswith(("_text", "--text_config")))


def _known(name: str) -> bool:
    """Whether a family is there, or was tried and not shipped."""
    return (PROOFS / f"{name}.json").exists() or (STATE / f"{name}.log").exists()


def made(one: Unit, parts: list[Part], given: dict[str, object]) -> tuple[str, dict[str, Any], list[str]]:
    """Explores and describes one family: its TOML, its proof, and what could not be told."""
    prefixes = tuple(part.prefix for part in parts)

    def own(name: str) -> bool:
        return not any(name.startswith(prefix) and prefix for prefix in prefixes)

    explored = explore(one, given, own)
    describer = Describer(explored, own)
    describer.describe()
    cached = cache_rows(explored, describer) if keeps(one, parts) else None
    anatomy = describer.finish()
    found = proof(explored, stacks_in(explored.all, lambda name: True), cached is not None)
    return toml(explored, anatomy, parts, cached), found, anatomy.problems


def written(one: Unit, parts: list[Part], given: dict[str, object], begin: float) -> str:
    """Writes one family where it is exact, else beside the logs; one that is shipped already was looked at."""
    text, found, problems = made(one, parts, given)
    file, proven = FAMILIES / f"{one.name}.toml", PROOFS / f"{one.name}.json"
    guessed = [] if file.exists() else STATED.findall(text)
    file.write_text(text, encoding="utf-8")
    proven.write_text(json.dumps(found, separators=(",", ":"), sort_keys=True) + "\n", encoding="utf-8")
    wrong = [line for case in found["cases"] for line in differences(one.name, case)]
    wrong += [f"a size that no field explains: {row}" for row in guessed]
    if wrong:  # what is not exact, or is so for the default alone, is not shipped
        for path in (file, proven):
            path.rename(STATE / path.name)
    said = "; ".join([*wrong[:6], *problems])
    return f"{said}\n{'problems' if said else 'whole'} in {time.process_time() - begin:.0f} s: {said[:120]}\n"


def checked(model_type: str) -> list[str]:
    """What `make anatomy` would write otherwise than it is, and what two further sizes show; nothing is written."""
    one = unit(model_type)
    if one is None:
        return [f"{model_type}: no class to build"]
    given = shrunk(one, fields_of(one))
    parts = parts_of(one, given) if one.config.sub_configs else []
    text, _, _ = made(one, parts, given)
    shipped = (FAMILIES / f"{one.name}.toml").read_text(encoding="utf-8").splitlines()
    other = [line for line in text.splitlines() if line not in shipped and not line.startswith("source")]
    found = [f"{model_type} would have {line.strip()}" for line in other]
    base, names = see(one, given), ("hidden_size", "intermediate_size")
    for size in (5, 7):
        wider = {name: size * 32 for name in names if name in fields_of(one)}
        seen = see(one, {**given, **wider, "num_hidden_layers": size})
        case = {"config": saved(one, seen.given), **tensors_of(seen, stacks_in([base, seen], lambda name: True))}
        found += [f"{model_type} at {size * 32}: {line}" for line in differences(one.name, case)]
    return found


if __name__ == "__main__":
    if sys.argv[1:2] == ["--check"]:
        sys.exit("\n".join(line for wanted in sys.argv[2:] for line in checked(wanted)) or 0)
    if sys.argv[1:] == ["--page"]:
        sys.exit(PAGE.write_text(page(FAMILIES, STATE, PAGE.read_text(encoding="utf-8")), encoding="utf-8") and 0)
    main(sys.argv[1:])
