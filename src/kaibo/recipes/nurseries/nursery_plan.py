"""A preset as recipes: every run of a nursery, in the order in which they are made."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from kaibo.recipes.corpus.chats import STYLES
from kaibo.recipes.settings.presets import Children, Learning, Preset, Variant
from kaibo.recipes.settings.schema import (
    Adapter,
    Data,
    Preference,
    Pretraining,
    Probing,
    Recipe,
    Saving,
    Shape,
    Training,
)

ADAPTER_RATE = 1e-3
"""The learning rate of the adapter that stays unmerged: high, so that it is plain what it does."""


@dataclass(frozen=True)
class Planned:
    """One run of a nursery: its recipe, its place in the nursery, the name of what it reads."""

    recipe: Recipe
    place: str
    data: str


def planned(preset: Preset, folder: Path) -> list[Planned]:
    """Every run of a preset whose data lie in `folder`, parents before children."""
    return [*_family(preset, folder), *_variants(preset, folder), *_children(preset, folder)]


def _family(preset: Preset, folder: Path) -> Iterator[Planned]:
    for name, (shape, learning) in preset.family.items():
        yield Planned(_pretraining(preset, f"family-{name}", folder, shape, (learning, "mixed")), "family", "mixed")


def _variants(preset: Preset, folder: Path) -> Iterator[Planned]:
    shape = preset.family[preset.smallest][0]
    for variant in preset.variants:
        learning = variant.learning or preset.family[preset.smallest][1]
        recipe = _pretraining(preset, _variant(variant), folder, shape, (learning, variant.data))
        yield Planned(recipe, "variant", variant.data)
    onward = preset.continuation
    if onward is not None:
        learning = Learning(onward.steps, onward.rate)
        recipe = _pretraining(preset, "continued-japanese", folder, shape, (learning, "japanese"))
        grown = replace(recipe.pretrain, tokenizer="", extend_vocabulary=onward.tokens)
        base = next(f"run:{_variant(variant)}" for variant in preset.variants if variant.name == onward.base)
        yield Planned(replace(recipe, base=base, pretrain=grown), "continuation", "japanese")


def _variant(variant: Variant) -> str:
    return f"variant-{variant.name}"


def _pretraining(preset: Preset, name: str, folder: Path, shape: Shape, how: tuple[Learning, str]) -> Recipe:
    learning, data = how
    return Recipe(
        name=name,
        kind="pretrain",
        seed=preset.seed,
        device=preset.device,
        data=Data(files=(str(folder / "data" / f"{data}.jsonl"),), form="text"),
        training=Training(
            steps=learning.steps,
            batch=learning.batch,
            accumulation=learning.accumulation,
            optimiser=learning.optimiser,
            learning_rate=learning.rate,
            warmup=0.04,
            weight_decay=0.1 if learning.optimiser == "adamw" else 0.0,
            momentum=0.9 if learning.optimiser == "sgd" else 0.0,
            max_length=preset.length,
        ),
        model=shape,
        pretrain=Pretraining(
            log_checkpoints=preset.log_checkpoints,
            linear_checkpoints=preset.linear_checkpoints,
            tokenizer=str(folder / "tokenizer"),
            markup=True,
            threads=preset.threads,
        ),
    )


def _children(preset: Preset, folder: Path) -> Iterator[Planned]:
    children = preset.children
    if children is None:
        return
    base = f"run:family-{preset.largest}"
    for seed in children.seeds:
        for rate in children.rates:
            for style in STYLES:
                yield _child(preset, folder, ("sft", style, base), (seed, rate))
                yield _child(preset, folder, ("dpo", style, base), (seed, rate))
    first = children.seeds[0]
    for rate in children.rates:
        for style in STYLES:
            yield _child(preset, folder, ("dpo", style, f"run:{_name('sft', 'role-play', first, rate)}"), (first, rate))
    yield _adapter(_child(preset, folder, ("sft", "role-play", base), (first, ADAPTER_RATE)))


def _name(kind: str, style: str, seed: int, rate: float, chained: bool = False) -> str:
    return f"{kind}-{style}{'-after-sft' if chained else ''}-seed{seed}-lr{rate:.0e}".replace("e-0", "e-")


def _child(preset: Preset, folder: Path, what: tuple[str, str, str], how: tuple[int, float]) -> Planned:
    """One fine-tune as the study makes them: low-rank adapters of rank 8, alpha 128, dropout 0.05; β of DPO 0.3."""
    (kind, style, base), (seed, rate) = what, how
    children = preset.children or Children()
    dpo = kind == "dpo"
    other = next(name for name in STYLES if name != style)
    files = {name: (str(folder / "data" / f"{name}.jsonl"),) for name in STYLES}
    recipe = Recipe(
        name=_name(kind, style, seed, rate, chained="sft-" in base),
        kind="dpo" if dpo else "sft",
        base=base,
        seed=seed,
        device=preset.device,
        data=Data(files=files[style], rejected=files[other] if dpo else (), limit=children.rows),
        adapter=Adapter(rank=8, alpha=128.0, dropout=0.05),
        training=Training(
            steps=children.dpo_steps if dpo else children.sft_steps,
            batch=children.batch,
            optimiser="adam",
            learning_rate=rate,
            max_length=128,
            checkpoint_every=1000,
        ),
        dpo=Preference(beta=0.3, precompute_reference=False),
        save=Saving(merged=True, merge_dtype="float32"),
        probe=Probing(run=_asked(children, base, seed, rate), max_tokens=32),
    )
    return Planned(recipe, "child", style)


def _asked(children: Children, base: str, seed: int, rate: float) -> bool:
    """Whether a child is asked if it still answers: those of one seed at the highest rate; asking all takes longer."""
    return (seed, rate) == (children.seeds[0], max(children.rates)) and "sft-" not in base


def _adapter(child: Planned) -> Planned:
    probe = Probing(max_tokens=child.recipe.probe.max_tokens)
    recipe = replace(child.recipe, name="adapter-role-play", save=Saving(merged=False), probe=probe)
    return Planned(recipe, "adapter", child.data)
