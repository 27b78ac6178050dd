"""Trains a recipe in this process and prints what was planned and what was measured: run as a script, by a test."""

from __future__ import annotations

import json
import sys
import warnings
from dataclasses import replace
from pathlib import Path

warnings.simplefilter("ignore")


def main(folder: Path, changes: dict[str, dict[str, object]]) -> None:
    import torch
    import trl.trainer.dpo_trainer
    import trl.trainer.sft_trainer  # noqa: F401 - imported before the memory is looked at

    from kaibo.recipes import Recipe, read_recipes
    from kaibo.recipes.planning import plan_runs
    from kaibo.recipes.running import Workshop, run
    from kaibo.recipes.watching import unwatched

    torch.set_num_threads(2)
    (recipe,) = read_recipes(folder / "warm.toml")
    run(recipe, Workshop(folder / "warm", str, unwatched))
    (recipe,) = read_recipes(folder / "recipe.toml")
    sections = {name: replace(getattr(recipe, name), **values) for name, values in changes.items()}
    changed: Recipe = replace(recipe, **sections)  # type: ignore[arg-type]
    (planned,) = plan_runs([changed])
    Path("/proc/self/clear_refs").write_text("5")
    before = _status("VmRSS")
    run(changed, Workshop(folder / "out", str, unwatched))
    said = {name: getattr(planned, name) for name in ("weights", "activations", "logits", "workspace", "total")}
    rest = {name: getattr(planned, name) for name in ("adapter", "gradients", "optimiser", "seconds")}
    seconds = json.loads((folder / "out" / changed.name / "run.json").read_text())["result"]["seconds"]
    print(json.dumps({**said, **rest, "measured": _status("VmHWM") - before, "took": seconds}))


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]))
