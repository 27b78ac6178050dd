"""`kaibo rescale`: how far the first digits of a model can be moved without changing one bit of what it computes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from kaibo.chapters.digits import benford
from kaibo.chapters.digits.rows import DigitsRow
from kaibo.chapters.merge.ask import Writing
from kaibo.chapters.rescale.powers_of_two import WAYS, Towards
from kaibo.chapters.rescale.rows import RESCALE, RescaleRow
from kaibo.chapters.rescale.search import Found, search
from kaibo.collect import Options, take_census
from kaibo.collect.files.outputs import open_output, storage_errors
from kaibo.collect.files.shards import INDEX, shards_of
from kaibo.collect.files.writing import write_shards
from kaibo.desk.addresses import Address
from kaibo.desk.measuring import Settings, open_store
from kaibo.errors import UsageError
from kaibo.models import open_model
from kaibo.models.companions import companions
from kaibo.models.derived.couplings import Coupling, couplings_of
from kaibo.models.derived.rescaled import rescaled
from kaibo.models.opening import target_of
from kaibo.store import Store
from kaibo.store.disk import held
from kaibo.version import __version__
from kaibo.vocabulary import Finding, Model
from kaibo.words import note

NOTES = (
    note("rescale_same"),
    note("rescale_room"),
    note("rescale_search"),
)


def rescale(
    model: Address,
    towards: Towards | Iterable[Towards] = WAYS,
    *,
    writing: Writing | None = None,
    settings: Settings | None = None,
) -> Finding[RescaleRow]:
    """The first digits of a model brought as near to the law (`law`) or as far `away` as powers of two can.

    A row for each direction. With `writing.out` the one model asked for is written there, in its own type, with its
    config and tokenizer. Raises UsageError for an unknown direction or for two with one folder, FormatError for a
    model whose channels are not known to cancel or whose type is not scaled exactly, StorageError where the folder
    holds something else, and whatever opening and reading raises.
    """
    settings, writing = settings or Settings(), writing or Writing()
    ways = _ways(towards, writing)
    opened = open_model(model, trust_shards=settings.trust_shards)
    couplings = couplings_of(opened)
    if writing.out is not None and os.path.realpath(writing.out) == target_of(opened.address).root:
        raise UsageError("is the model that is rescaled", file=writing.out, next="choose another --out")
    store = open_store(settings.store)
    options = settings.forming()
    before = _digits(opened, store, options)
    rows = []
    for way in ways:
        found = search(couplings, np.array(before.counts, np.int64), way, options)
        made = rescaled(opened, found.factors)
        after = _digits(made, store, options)
        assert after.counts == tuple(int(count) for count in found.totals), "the digits must be those that were sought"
        rows.append(_row(opened, couplings, way, found, (before, after), writing.out))
    if writing.out is not None:
        _write(opened, made, writing, options)
    provenance = {"models": {opened.address: None}, "kaibo": __version__}
    return Finding(RESCALE, tuple(rows), (*NOTES, *opened.notes), provenance)


def _ways(towards: Towards | Iterable[Towards], writing: Writing) -> tuple[Towards, ...]:
    asked = (towards,) if isinstance(towards, str) else tuple(towards)
    for way in asked:
        if way not in WAYS:
            raise UsageError(f'no direction "{way}"', next=f"choose one of {', '.join(WAYS)}")
    if not asked or (writing.out is not None and len(asked) > 1):
        raise UsageError("one folder holds one model", next="--towards law or --towards away")
    if writing.dtype is not None or writing.partial:
        raise UsageError("a rescaled model is whole and keeps its type", next="leave dtype and partial as they are")
    return asked


def _digits(model: Model, store: Store, options: Options) -> DigitsRow:
    collected = take_census(model, store, options)
    if collected.failures:
        raise collected.failures[0]
    return benford.digits(collected.rows).rows[0]


def _row(
    model: Model,
    couplings: tuple[Coupling, ...],
    way: Towards,
    found: Found,
    digits: tuple[DigitsRow, DigitsRow],
    out: str | os.PathLike[str] | None,
) -> RescaleRow:
    before, after = digits
    sides = {side.tensor.canonical: side.tensor.size for one in couplings for side in one.sides}
    ends = [
        (int(one.rows.min()) + int(one.columns.min()), int(one.rows.max()) + int(one.columns.max()))
        for one in found.factors.values()
    ]
    return RescaleRow(
        model=model.address,
        towards=way,
        n=after.n,
        mae_before=before.mae,
        mae=after.mae,
        gaussian_mae=before.gaussian_mae,
        mixture_mae=before.mixture_mae,
        channels=sum(one.channels for one in couplings),
        scaled=found.moved,
        kept_back=found.kept_back,
        reached=sum(sides.values()) / max(after.n, 1),
        exponent_low=min((low for low, _ in ends), default=0),
        exponent_high=max((high for _, high in ends), default=0),
        sweeps=found.sweeps,
        out=None if out is None else os.fspath(out),
        shares=after.shares,
    )


def _write(before: Model, made: Model, writing: Writing, options: Options) -> None:
    """The folder: small files as they are, the weights a piece at a time."""
    assert writing.out is not None, "the caller looked"
    small = dict(companions(before.address))
    planned = shards_of(made.tensors, writing.shard_bytes, {"format": "pt", "kaibo": f"rescale {__version__}"})
    names = [*small, *(shard.name for shard in planned), *([INDEX] if len(planned) > 1 else [])]
    with storage_errors(Path(writing.out)), held(Path(writing.out)):
        output = open_output(Path(writing.out), _key(made), names, force=writing.force)
        for file, data in small.items():
            output.put(file, data)
        write_shards(planned, output, options)


def _key(made: Model) -> str:
    """32 hex digits that name the output; of a source that cannot be named, nothing of an earlier run is kept."""
    keys = [f"{tensor.name}|{tensor.source_key}" for tensor in made.tensors]
    if any(tensor.source_key is None for tensor in made.tensors):
        return os.urandom(16).hex()
    return hashlib.sha256("\n".join(keys).encode("utf-8", "surrogatepass")).hexdigest()[:32]
