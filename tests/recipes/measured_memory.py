"""Trains a recipe in this process and prints what was planned and what was measured: run as a script, by a test."""

from __future__ import annotations

import json
import sys
import threading
import warnings
from dataclasses import replace
from pathlib import Path

warnings.simplefilter("ignore")


def main(folder: Path, changes: dict[str, dict[str, object]]) -> None:
    import torch
    import trl.trainer.dpo_trainer
    import trl.trainer.sft_trainer  # noqa: F401 - imported before the memory is looked at

    from kaibo.recipes import Recipe, read_recipes
    from kaibo.recipes.plans.planning import plan_runs
    from kaibo.recipes.running import run
    from kaibo.recipes.runs.watching import unwatched
    from kaibo.recipes.runs.workshop import Workshop

    torch.set_num_threads(2)
    (recipe,) = read_recipes(folder / "warm.toml")
    run(recipe, Workshop(folder / "warm", str, unwatched))
    (recipe,) = read_recipes(folder / "recipe.toml")
    sections = {name: replace(getattr(recipe, name), **values) for name, values in changes.items()}
    changed: Recipe = replace(recipe, **sections)  # type: ignore[arg-type]
    (planned,) = plan_runs([changed])
    before, sampler = _anonymous(), Sampler()
    run(changed, Workshop(folder / "out", str, sampler))
    names = ("weights", "adapter", "gradients", "optimiser", "activations", "logits", "workspace", "total")
    print(json.dumps({name: getattr(planned, name) for name in names} | {"measured": sampler.peak - before}))


class Sampler:
    """Looks at this process's own memory every few milliseconds from the first step to the last."""

    def __init__(self) -> None:
        self.peak = 0
        self.ended = threading.Event()

    def begin(self, run: str, steps: int) -> None:
        self.steps = steps
        threading.Thread(target=self.sample, daemon=True).start()

    def step(self, step: int, tokens: int, loss: float) -> None:
        if step == self.steps:
            self.ended.set()

    def sample(self) -> None:
        while not self.ended.wait(0.002):
            self.peak = max(self.peak, _anonymous())


def _anonymous() -> int:
    """Bytes that are ours alone: mapped files, as weights are while they are read, do not count."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon:"))


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]))
