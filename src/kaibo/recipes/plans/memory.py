"""Peak memory of a run by part, as arithmetic over shapes: what stands all the time, and what a step adds at its worst.

weights      4 bytes a value trained whole, 2 or 4 frozen; in 4 bit half a byte and the scales of the blocks
adapter      rank × (inputs + outputs) values a layer; gradients beside it
optimiser    two moments a trained value (Adam), or what another keeps
activations  what autograd keeps of batch × length tokens, for DPO of both answers
logits       batch × length × vocabulary × 4 bytes, times the copies that the loss makes; in chunks one tile
"""

from __future__ import annotations

from dataclasses import dataclass

from kaibo.recipes.plans.shapes import Kept, Shapes
from kaibo.recipes.settings.schema import Recipe

BLOCK = 64
"""Values of a 4-bit block that share a scale; 256 scales share one when they are quantised, too."""

TILE = (4096, 32768)
"""Tokens × vocabulary of a tile of TRL's chunked loss."""

CONTEXT = 450 << 20
"""What the CUDA context and the libraries' workspaces take beside all tensors."""


@dataclass(frozen=True)
class Setting:
    """What decides the bytes of a run beside its recipe: where it computes, and in which types."""

    device: str
    frozen: int
    products: int
    length: int

    @property
    def fused(self) -> bool:
        """Whether the loss is folded by a kernel that makes no copies of a tile."""
        return self.device == "cuda"


@dataclass(frozen=True)
class Parts:
    """Bytes by part; `optimiser_step` are copies that exist only while the optimiser steps."""

    weights: int
    adapter: int
    gradients: int
    optimiser: int
    optimiser_step: int
    activations: int
    logits: int
    workspace: int
    context: int

    @property
    def total(self) -> int:
        """The peak: what stands all the time, and the larger of backward pass and optimiser step."""
        standing = self.weights + self.adapter + self.gradients + self.optimiser + self.context
        return standing + max(self.activations + self.logits + self.workspace, self.optimiser_step)


def parts(recipe: Recipe, shapes: Shapes, kept: Kept, setting: Setting) -> Parts:
    """The parts of a run's peak memory."""
    method = recipe.adapter.method
    trained = shapes.parameters if method == "full" else recipe.adapter.rank * shapes.adapted
    width = 2 if method == "qlora" else 4
    moments, copies = _optimiser(recipe, shapes, trained, width, setting)
    rows = recipe.training.batch * (2 if recipe.kind == "dpo" else 1)
    return Parts(
        weights=_weights(recipe, shapes, setting),
        adapter=0 if method == "full" else trained * width,
        gradients=trained * width,
        optimiser=moments,
        optimiser_step=copies,
        activations=_activations(recipe, shapes, kept),
        logits=_logits(recipe, shapes, setting, rows * setting.length),
        workspace=_workspace(recipe, shapes, setting, rows * setting.length),
        context=CONTEXT if setting.device == "cuda" else 0,
    )


def _weights(recipe: Recipe, shapes: Shapes, setting: Setting) -> int:
    adapter = recipe.adapter
    if adapter.method == "full":
        copies = 2 if recipe.kind == "dpo" and not recipe.dpo.precompute_reference else 1
        return 4 * shapes.parameters * copies
    if adapter.method == "lora":
        return setting.frozen * shapes.parameters
    if adapter.bits == 8:
        return shapes.linear + 4 * shapes.linear_outputs + setting.frozen * shapes.others
    scale = (1 + 4 / 256) / BLOCK if adapter.double_quantisation else 4 / BLOCK
    return int(shapes.linear * (0.5 + scale)) + setting.frozen * shapes.others


def _optimiser(recipe: Recipe, shapes: Shapes, trained: int, width: int, setting: Setting) -> tuple[int, int]:
    """Bytes that stay, and bytes of copies while it steps (one root of the second moments where all step at once)."""
    kind = recipe.training.optimiser
    step = trained * width if setting.device == "cuda" else min(trained, shapes.largest) * width
    if kind in ("adamw", "adam", "adamw-paged"):
        return 2 * trained * (4 if kind == "adamw-paged" else width), step if kind != "adamw-paged" else 0
    if kind in ("adamw-8bit", "adamw-paged-8bit"):
        return int(2 * trained * (1 + 4 / 256)), 0
    if kind == "adafactor":
        return 4 * shapes.factors if recipe.adapter.method == "full" else 4 * trained, step
    return (trained * width if recipe.training.momentum else 0), 0


def _activations(recipe: Recipe, shapes: Shapes, kept: Kept) -> int:
    """All layers' where they are kept; else one state a layer, and one layer's while it is computed again."""
    if recipe.training.gradient_checkpointing:
        return shapes.layers * kept.hidden + kept.layer + kept.outside
    return shapes.layers * kept.layer + kept.outside


def _logits(recipe: Recipe, shapes: Shapes, setting: Setting, tokens: int) -> int:
    if not recipe.training.chunked_loss:
        return whole_logits(shapes, tokens) * 4 + (0 if setting.products == 4 else tokens * shapes.vocabulary * 2)
    tile = min(tokens, TILE[0]) * min(shapes.vocabulary, TILE[1])
    copies = tile * setting.products if setting.fused else tile * (setting.products + 6 * 4)
    states = tokens * shapes.hidden * 4
    head = shapes.vocabulary * shapes.hidden * 4 if recipe.adapter.method == "full" else 0
    return copies + states + head


def whole_logits(shapes: Shapes, tokens: int) -> int:
    """Bytes of one batch × length × vocabulary tensor in float32."""
    return tokens * shapes.vocabulary * 4


def _workspace(recipe: Recipe, shapes: Shapes, setting: Setting, tokens: int) -> int:
    """Gradients that flow through one layer, and for a quantised base one matrix opened to the type of its products."""
    flowing = tokens * (2 * shapes.inner + 2 * shapes.hidden) * setting.products
    opened = shapes.largest * setting.products if recipe.adapter.method == "qlora" else 0
    return flowing + opened
