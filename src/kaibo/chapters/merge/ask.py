"""`kaibo merge`: several models made from one base become one, written as safetensors; the conflicts told first."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from kaibo.chapters.merge.conflicts import Polled, conflict_map, conflicts, nonfinite_notes
from kaibo.chapters.merge.planning import Plan, Side, plan_merge, poll, with_majority
from kaibo.chapters.merge.rows import ConflictRow
from kaibo.collect import Options
from kaibo.collect.files.outputs import Output, open_output, storage_errors
from kaibo.collect.files.shards import INDEX, Shard, shards_of
from kaibo.collect.files.writing import Written, write_shards
from kaibo.desk.addresses import Address, addresses
from kaibo.desk.measuring import Settings, open_store
from kaibo.errors import FormatError, UsageError
from kaibo.models.adapters import open_base, open_tuned, vocabularies
from kaibo.models.companions import companions
from kaibo.models.derived.merged import WRITABLE
from kaibo.models.opening import target_of
from kaibo.models.pairing import pair_models
from kaibo.store.disk import held
from kaibo.version import __version__
from kaibo.vocabulary import DTYPES, DType, Finding, Model
from kaibo.vocabulary.merging import Ballot, Recipe
from kaibo.words import Note

TYPES = {"float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16"}
"""Types of the output by the names that configs use."""

CONVENTIONS: dict[str, dict[str, Any]] = {
    "reference": {},
    "peft": {"scope": "tensor", "ties": "exact", "tie": "plus"},
    "mergekit": {
        "scope": "tensor",
        "ties": "exact",
        "tie": "plus",
        "vote": "weighted",
        "divide": "weights",
        "least": 1,
    },
}
"""Where others do it otherwise than the paper's code: the options that make the same of the same models."""


@dataclass(frozen=True)
class Writing:
    """Where a merge goes: an output folder, the type it is stored in (None: the base's), bytes of a file at most.

    `force` overwrites what is there; `partial` leaves tensors that a tuned model lacks as they are in the base.
    """

    out: str | os.PathLike[str] | None = None
    dtype: str | None = None
    shard_bytes: int = 5_000_000_000
    force: bool = False
    partial: bool = False


@dataclass(frozen=True)
class Merge:
    """A merge that was planned, and carried out where it had a folder to go to.

    `report` is the whole, `by_layer` and `by_role` its parts, `cells` every role in every layer: how much of each
    task vector survives trimming and election, and where they are in conflict. `model` is the output as a model.
    """

    out: str | None
    recipe: Recipe
    tuned: tuple[str, ...]
    report: Finding[ConflictRow]
    by_layer: Finding[ConflictRow]
    by_role: Finding[ConflictRow]
    cells: Finding[ConflictRow]
    notes: tuple[Note, ...]
    model: Model = field(repr=False)
    written: Written | None = None

    def record(self) -> dict[str, Any]:
        """What `--json` prints under `results`."""
        from kaibo.vocabulary import with_reasons

        whole = self.report.rows[0] if self.report.rows else None
        return with_reasons(
            {
                "out": self.out,
                "method": self.recipe.method,
                "kept": None if whole is None else whole.kept,
                "conflict": None if whole is None else whole.conflict,
                "elected": None if whole is None else whole.elected,
                "models": [
                    {"model": model, "kept": kept, "elected": elected}
                    for model, kept, elected in (
                        zip(self.tuned, whole.kept_each, whole.elected_each, strict=True) if whole else ()
                    )
                ],
                "nonfinite": None if whole is None else whole.nonfinite,
                "recipe": asdict(self.recipe),
                "bytes": None if self.written is None else self.written.bytes,
                "files": None if self.written is None else self.written.written + self.written.kept,
            },
            {} if whole is None else whole.why,
        )


def merge(
    base: Address,
    tuned: Address | Iterable[Address],
    *,
    recipe: Recipe | None = None,
    writing: Writing | None = None,
    settings: Settings | None = None,
) -> Merge:
    """Merges models that were made from one base, or adapters on it, and writes the result where `writing.out` says.

    Without an output folder only the report is made. A run that was stopped is taken up where it was. Raises
    UsageError for a recipe that does not fit the models, FormatError where a tuned model lacks a tensor of the base,
    StorageError where the folder holds something else or the disk refuses, and whatever opening and reading raises.
    """
    settings, writing = settings or Settings(), writing or Writing()
    named = addresses(tuned)
    recipe = fitted(recipe or Recipe(), len(named))
    before = open_base(base, trust_shards=settings.trust_shards)
    after = [open_tuned(address, before, trust_shards=settings.trust_shards) for address in named]
    dtype = _dtype(writing.dtype, before)
    store = open_store(settings.store)
    options = settings.forming()
    sides = [Side(model, pair_models(before, model, vocabularies(before, model))) for model in after]
    if writing.out is not None:
        _outside(Path(writing.out), (before, *after))
    plan = plan_merge(before, sides, recipe, store, options, dtype=dtype, partial=writing.partial)
    if writing.out is None:
        return _merge(plan, poll(plan, options), None, None)
    return _carried_out(plan, writing, options)


def fitted(recipe: Recipe, tuned: int) -> Recipe:
    """The recipe with a density and a weight for each model, where one was given for all. Raises UsageError."""
    if tuned == 0:
        raise UsageError("nothing to merge into the base", next="name one tuned model or more")
    if recipe.method == "slerp" and tuned != 1:
        raise UsageError(f"slerp goes between two models, not {tuned + 1}", next="name BASE and one TUNED")
    if not 0 <= recipe.t <= 1:
        raise UsageError(f"--t {recipe.t} is no place between two models", next="give a number from 0 to 1")
    if not math.isfinite(recipe.factor):
        raise UsageError(f"--lambda {recipe.factor} is no finite number", next="write --lambda 1.0")
    weights = tuned + 1 if recipe.method == "linear" else tuned
    found = replace(
        recipe,
        densities=_each(recipe.densities, tuned, "densities"),
        weights=_each(recipe.weights, weights, "weights"),
    )
    if any(not 0 <= density <= 1 for density in found.densities):
        raise UsageError("a density is a share", next="give numbers from 0 to 1")
    if recipe.method == "linear" and recipe.divide != "none" and sum(found.weights) == 0:
        raise UsageError("the weights add up to zero", next="give others, or --divide none")
    return found


def _each(values: tuple[float, ...], count: int, what: str) -> tuple[float, ...]:
    if any(value != value or abs(value) == float("inf") for value in values):
        raise UsageError(f"{what} are finite numbers", next="give one for all, or one for each in order")
    if len(values) == 1:
        return values * count
    if len(values) != count:
        raise UsageError(f"{len(values)} {what} for {count} models", next="give one for all, or one for each in order")
    return values


def _dtype(asked: str | None, base: Model) -> DType | None:
    if asked is not None and asked not in TYPES:
        raise UsageError(f'no output type "{asked}"', next=f"choose one of {', '.join(TYPES)}")
    if asked is not None:
        return DTYPES[TYPES[asked]]
    for tensor in base.weights:
        if tensor.dtype.name not in WRITABLE:
            message = f"is stored as {tensor.dtype.name}, which a merge cannot be stored in"
            raise FormatError(message, file=base.address, tensor=tensor.name, next="choose a type with --dtype")
    return None


def _outside(out: Path, models: Sequence[Model]) -> None:
    """An output folder is none of the inputs."""
    for model in models:
        if os.path.realpath(out) == target_of(model.address).root:
            raise UsageError("is one of the models to be merged", file=out, next="choose another --out")


def _carried_out(plan: Plan, writing: Writing, options: Options) -> Merge:
    """The report first, kept in the folder, then small files, weights and index."""
    assert writing.out is not None, "the caller looked"
    with storage_errors(Path(writing.out)), held(Path(writing.out)):
        return _written(plan, writing, options)


def _written(plan: Plan, writing: Writing, options: Options) -> Merge:
    assert writing.out is not None, "the caller looked"
    name = next((name for name, stored in TYPES.items() if writing.dtype == name and stored), None)
    small = dict(companions(plan.base.address, name))
    metadata = {"format": "pt", "kaibo": f"merge {plan.recipe.method} {__version__}"}
    planned = shards_of(plan.tensors, writing.shard_bytes, metadata)
    key = plan.key() or os.urandom(16).hex()  # a source that cannot be named: nothing of an earlier run is kept
    output = open_output(Path(writing.out), key, _names(planned, small), force=writing.force)
    polled = _polled(output) or poll(plan, options)
    if output.report is None:
        output.report = [asdict(one) for one in polled]
        output.save()
    for file, data in small.items():
        output.put(file, data)
    plan = with_majority(plan, polled)
    written = write_shards(shards_of(plan.tensors, writing.shard_bytes, metadata), output, options)
    return _merge(plan, polled, os.fspath(writing.out), written)


def _names(shards: Sequence[Shard], small: dict[str, bytes]) -> list[str]:
    return [*small, *(shard.name for shard in shards), *([INDEX] if len(shards) > 1 else [])]


def _polled(output: Output) -> tuple[Polled, ...]:
    """The ballots that an earlier run left in the folder."""
    try:
        return tuple(
            Polled(one["tensor"], one["layer"], one["role"], _ballot(one["ballot"])) for one in output.report or ()
        )
    except (KeyError, TypeError):
        return ()


def _ballot(kept: dict[str, Any]) -> Ballot:
    return Ballot(**{**kept, **{name: tuple(kept[name]) for name in ("kept", "elected", "nonfinite")}})


def _merge(plan: Plan, polled: Sequence[Polled], out: str | None, written: Written | None) -> Merge:
    done = with_majority(plan, polled)
    tuned = tuple(model.address for model in plan.tuned)
    return Merge(
        out=out,
        recipe=plan.recipe,
        tuned=tuned,
        report=conflicts(polled, "model", tuned),
        by_layer=conflicts(polled, "layer", tuned),
        by_role=conflicts(polled, "role", tuned),
        cells=conflict_map(polled, tuned),
        notes=(*plan.base.notes, *plan.notes, *nonfinite_notes(polled, tuned)),
        model=done.model(),
        written=written,
    )
