"""From models and a recipe to a merge: tensors are paired, thresholds found, signs polled. Nothing is written yet.

What trimming needs is taken from the censuses of the differences; those that the store has are not read again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

from kaibo.chapters.diff.trimming import Quota, quotas, wanted_bins
from kaibo.chapters.merge.conflicts import Polled
from kaibo.collect.censuses import Options
from kaibo.collect.differences import Compared, take_difference
from kaibo.collect.engine import named, ordered
from kaibo.collect.resolving import resolved_bins
from kaibo.collect.watch.stopping import Stopping
from kaibo.counting import position_after
from kaibo.errors import FormatError, KaiboError
from kaibo.models.derived.difference import difference_of
from kaibo.models.derived.merged import Merged, slerp_weights
from kaibo.models.pairing import Pair, Pairing
from kaibo.store import Store
from kaibo.vocabulary import DType, Model, Tensor
from kaibo.vocabulary.merging import WHOLE, Recipe, Rule, Trim

BUFFER = "buffer"

LAID_OUT = "it is laid out otherwise there"

Whole = dict[str, tuple[Pair, ...]]


@dataclass(frozen=True)
class Side:
    """One tuned model and how its tensors meet those of the base."""

    model: Model
    pairing: Pairing


@dataclass(frozen=True)
class Plan:
    """A merge that only has to be carried out: for each tensor of the output, in order, how it is formed.

    `outputs` holds a `Merged`, or the base's own tensor where that stays, which the `notes` say.
    """

    base: Model
    tuned: tuple[Model, ...]
    recipe: Recipe
    outputs: tuple[Merged | Tensor, ...]
    notes: tuple[str, ...] = ()

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """The output's tensors."""
        return tuple(one.tensor if isinstance(one, Merged) else one for one in self.outputs)

    @property
    def merged(self) -> tuple[Merged, ...]:
        """The tensors that are formed."""
        return tuple(one for one in self.outputs if isinstance(one, Merged))

    def key(self) -> str | None:
        """32 hex digits that name the output: the same key, the same bytes. None where a source cannot be named."""
        parts = [self.recipe.digest()]
        for output, tensor in zip(self.outputs, self.tensors, strict=True):
            keys = [side.source_key for side in (output.sides if isinstance(output, Merged) else (output,))]
            if None in keys:
                return None
            parts.append(f"{tensor.name}|{tensor.dtype.name}|{'|'.join(map(str, keys))}")
        return hashlib.sha256("\n".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]

    def model(self) -> Model:
        """The output as a model: it can be measured like any other, written or not."""
        name = f"{self.recipe.method} of {', '.join(model.name for model in self.tuned)}"
        return replace(self.base, address=name, name=name, tensors=self.tensors, files=(), notes=self.notes)


def plan_merge(
    base: Model,
    sides: Sequence[Side],
    recipe: Recipe,
    store: Store,
    options: Options,
    *,
    dtype: DType | None = None,
    partial: bool = False,
) -> Plan:
    """How each tensor of the base is merged.

    A tensor that a tuned model lacks, or has in another shape, stays as it is in the base with `partial`; without it
    FormatError names the first. Raises what reading the models raises.
    """
    whole, notes = _whole(base, sides, partial)
    rules = _rules(base, sides, recipe, whole, store, options)
    outputs = tuple(_output(tensor, whole, rules, dtype) for tensor in base.tensors)
    return Plan(base, tuple(side.model for side in sides), recipe, outputs, notes)


def _whole(base: Model, sides: Sequence[Side], partial: bool) -> tuple[Whole, tuple[str, ...]]:
    """The pairs of each tensor that every tuned model has in full, by the base's canonical name."""
    found = [{id(pair.base): pair for pair in side.pairing.pairs} for side in sides]
    whole: Whole = {}
    notes: list[str] = []
    for tensor in base.weights:
        if tensor.role == BUFFER:
            continue
        pairs = tuple(pairs[id(tensor)] for pairs in found if id(tensor) in pairs)
        if len(pairs) == len(sides):
            whole[tensor.canonical] = pairs
            continue
        lacking = next(side for side, pairs in zip(sides, found, strict=True) if id(tensor) not in pairs)
        why = next((lone.why for lone in lacking.pairing.unmatched if lone.tensor == tensor.canonical), LAID_OUT)
        if not partial:
            message = f"has no counterpart in {lacking.model.address}: {why}"
            next_step = "--partial leaves such tensors as they are in the base"
            raise FormatError(message, file=base.address, tensor=tensor.name, next=next_step)
        notes.append(f"{tensor.canonical} stays as it is in the base: {lacking.model.address}: {why}")
    for side in sides:
        notes += [f"{side.model.address}: {note}" for note in side.pairing.notes]
        extra = [lone for lone in side.pairing.unmatched if lone.side == "tuned"]
        notes += [f"{side.model.address}: {lone.tensor} is left out ({lone.why})" for lone in extra]
    return whole, tuple(notes)


def _rules(
    base: Model, sides: Sequence[Side], recipe: Recipe, whole: Whole, store: Store, options: Options
) -> dict[str, Rule]:
    """The rule of each tensor that is merged."""
    if recipe.method == "linear":
        divisor = sum(recipe.weights) if recipe.divide != "none" else 1.0
        rule = Rule(recipe, tuple(recipe.factor * weight / divisor for weight in recipe.weights))
        return dict.fromkeys(whole, rule)
    if recipe.method == "slerp":
        compared = _compared(base, sides[0], store, options)
        joints = {row.difference.tensor: row.joint for row in compared.rows}
        return {name: Rule(recipe, _arc(joints[name], recipe.t)) for name in whole}
    if recipe.method == "dare":
        weights = tuple(
            weight / density if density else 0.0
            for weight, density in zip(recipe.weights, recipe.densities, strict=True)
        )
        return {name: Rule(recipe, weights, keys=_keys(recipe, name)) for name in whole}
    trims = [_trims(base, sides, place, recipe, whole, store, options) for place in range(len(sides))]
    weights = recipe.weights
    return {name: Rule(recipe, weights, tuple(kept.get(name, WHOLE) for kept in trims)) for name in whole}


def _arc(joint: object, t: float) -> tuple[float, float]:
    from kaibo.vocabulary import Joint

    assert isinstance(joint, Joint)
    return slerp_weights(joint.dot, joint.base_square, joint.tuned_square, t)


def _keys(recipe: Recipe, name: str) -> tuple[int, ...]:
    """A 64-bit seed for each tuned model in one tensor."""
    texts = (f"{recipe.seed}\0{place}\0{name}" for place in range(len(recipe.densities)))
    return tuple(
        int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:8], "little") for text in texts
    )


def _compared(base: Model, side: Side, store: Store, options: Options) -> Compared:
    compared = take_difference(base, side.model, side.pairing, store, options)
    if compared.failures:
        raise compared.failures[0]
    return compared


def _trims(
    base: Model, sides: Sequence[Side], place: int, recipe: Recipe, whole: Whole, store: Store, options: Options
) -> dict[str, Trim]:
    """What is kept of one task vector: thresholds from its censuses, exact, and where the last tie that counts is."""
    density = recipe.densities[place]
    if density >= 1:
        return {}
    compared = _compared(base, sides[place], store, options)
    rows = [row.difference for row in compared.rows if row.difference.tensor in whole]
    differences = {name: difference_of(pairs[place]) for name, pairs in whole.items()}
    contents = {row.content: differences[row.tensor] for row in rows}
    known = resolved_bins(contents, wanted_bins(rows, density, recipe), store, options)
    found = quotas(rows, density, recipe, known)
    return dict(_cutoffs(found, differences, options))


def _cutoffs(found: dict[str, Quota], differences: dict[str, Tensor], options: Options) -> Iterator[tuple[str, Trim]]:
    """Positions are looked for only in tensors that keep some of their ties and not all."""
    split = [name for name, quota in found.items() if 0 < quota.taken < quota.held]
    for name, quota in found.items():
        if name not in split:
            yield name, Trim(quota.threshold, differences[name].size if quota.taken else 0)

    def position(name: str) -> tuple[str, int | KaiboError]:
        try:
            return name, position_after(differences[name], found[name].threshold, found[name].taken)
        except KaiboError as error:
            return name, named(error, differences[name])

    with Stopping() as stopping, closing(ordered(split, position, options.workers)) as under_way:
        for name, place in under_way:
            if isinstance(place, KaiboError):
                raise place
            stopping.check()
            yield name, Trim(found[name].threshold, place)


def _output(tensor: Tensor, whole: Whole, rules: dict[str, Rule], dtype: DType | None) -> Merged | Tensor:
    if tensor.canonical not in whole:
        return tensor
    tuned = tuple(pair.tuned for pair in whole[tensor.canonical])
    return Merged(tensor, tuned, rules[tensor.canonical], dtype or tensor.dtype)


def poll(plan: Plan, options: Options) -> tuple[Polled, ...]:
    """The ballot of every merged tensor: one more pass over all models, several threads."""
    options.progress.begin("signs", sum(_bytes(one) for one in plan.merged))
    found: list[Polled] = []

    def count(one: Merged) -> tuple[Merged, Polled | KaiboError]:
        try:
            return one, Polled(one.base.canonical, one.base.layer, one.base.role, one.ballot())
        except KaiboError as error:
            return one, named(error, one.base)

    with Stopping() as stopping, closing(ordered(plan.merged, count, options.workers)) as under_way:
        for one, outcome in under_way:
            options.progress.advance(_bytes(one))
            if isinstance(outcome, KaiboError):
                raise outcome
            found.append(outcome)
            if stopping.signal is not None:
                break
        stopping.check()
    return tuple(found)


def _bytes(one: Merged) -> int:
    return sum(side.size * side.dtype.itemsize for side in one.sides)


def with_majority(plan: Plan, polled: Sequence[Polled]) -> Plan:
    """The plan with ties going to the sign that won most often: of the whole model, or of each tensor.

    As the paper's code: the sign of the sum of all signs; minus where that is zero, since its entries are then chosen
    by `sign > 0`.
    """
    if plan.recipe.method != "ties" or plan.recipe.tie != "majority":
        return plan
    lead = {one.tensor: one.ballot.plus - one.ballot.minus for one in polled}
    whole = sum(lead.values())

    def decided(one: Merged) -> Merged:
        ahead = whole if plan.recipe.scope == "global" else lead[one.base.canonical]
        return replace(one, rule=replace(one.rule, tie=1.0 if ahead > 0 else -1.0))

    return replace(plan, outputs=tuple(decided(one) if isinstance(one, Merged) else one for one in plan.outputs))
