"""Recipes come in; trained models, each with an account of how it was made, go out.

- `schema`, `fields`: what a recipe may say, and how it is read
- `expansion`: one file becomes the runs of its matrix, in the order of their chains

Nothing heavy is imported here: torch, transformers, peft and trl are loaded when a run begins.
"""

from kaibo.recipes.settings.expansion import read_recipes
from kaibo.recipes.settings.schema import Recipe

__all__ = ["Recipe", "read_recipes"]
