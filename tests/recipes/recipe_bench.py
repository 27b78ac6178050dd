"""A base, its data and a folder of runs that several tests look at."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kaibo.recipes import Recipe
from kaibo.recipes.runs.account import RunRow, read_account
from kaibo.recipes.settings.schema import Adapter, Data, Probing, Saving, Training

TRAINING = Training(max_length=128, learning_rate=1e-3, batch=2)


@dataclass
class Bench:
    """A base, two styles of answer, and a folder of runs that tests share; each run is made when it is asked for."""

    folder: Path
    made: dict[str, RunRow] = field(default_factory=dict)

    @property
    def base(self) -> Path:
        return self.folder / "base"

    def recipe(self, name: str, **changes: Any) -> Recipe:
        """A recipe on the plain style: LoRA, one pass, no probe."""
        data = Data(files=(str(self.folder / "plain.jsonl"),))
        plain = Recipe(name, "sft", str(self.base), data=data, training=TRAINING, probe=Probing(run=False))
        return dataclasses.replace(plain, **changes)

    def run(self, recipe: Recipe, out: Path | None = None, **options: Any) -> RunRow:
        """The run of a recipe, made once."""
        from kaibo.recipes.running import run
        from kaibo.recipes.runs.watching import unwatched
        from kaibo.recipes.runs.workshop import Workshop

        if out is not None:
            return run(recipe, Workshop(out, str, **{"watcher": unwatched, **options}))
        if recipe.name not in self.made:
            self.made[recipe.name] = run(recipe, Workshop(self.folder / "runs", str, unwatched))
        return self.made[recipe.name]

    def account(self, name: str) -> dict[str, Any]:
        found = read_account(self.folder / "runs" / name)
        assert found is not None
        return found

    def sft(self) -> Recipe:
        return self.recipe("sft", adapter=Adapter("lora", rank=4, alpha=16, dropout=0.05), save=Saving(merged=True))

    def dpo(self) -> Recipe:
        styles = Data(files=(str(self.folder / "polite.jsonl"),), rejected=(str(self.folder / "plain.jsonl"),))
        return self.recipe("dpo", kind="dpo", base="run:sft", data=styles, adapter=Adapter("lora", rank=4))

    def qlora(self) -> Recipe:
        return self.recipe("qlora", adapter=Adapter("qlora", rank=4, alpha=128, dropout=0.05))
