"""A recipe of any kind is made by who makes that kind."""

from __future__ import annotations

from kaibo.recipes.loading import require_training
from kaibo.recipes.running import run
from kaibo.recipes.runs.account import RunRow
from kaibo.recipes.runs.workshop import Workshop
from kaibo.recipes.settings.schema import Recipe


def make(recipe: Recipe, shop: Workshop) -> RunRow:
    """Makes one run, or finds it made. Raises what `pretrain` and `run` raise."""
    if recipe.kind == "pretrain":
        require_training()
        from kaibo.recipes.training.pretraining import pretrain

        return pretrain(recipe, shop)
    return run(recipe, shop)
