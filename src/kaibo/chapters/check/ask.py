"""`kaibo check`: is anything wrong with a model, from its files, its config, its weights, and beside its base."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeVar

from kaibo.chapters.check.adapters import merged, unreached, zero_factors
from kaibo.chapters.check.beside import pickles_beside
from kaibo.chapters.check.promised import promised, tied
from kaibo.chapters.check.reading import scales, stacked_experts, table_of
from kaibo.chapters.check.repeats import dead_experts, repeats
from kaibo.chapters.check.rows import CHECK, FAULTS, REMARKS, CheckRow, Fault, FaultRow, fault
from kaibo.chapters.check.tokens import out_of_range, unknown, untrained_rows
from kaibo.chapters.check.took import took
from kaibo.chapters.check.untrained import untrained
from kaibo.chapters.check.values import values
from kaibo.chapters.diff.ask import DiffOptions, compare_addresses, share_diff
from kaibo.collect import Collected
from kaibo.collect.differences import Compared
from kaibo.collect.shards import Shard, Share
from kaibo.desk.addresses import Address, OnError, addresses, raising
from kaibo.desk.measuring import Settings, measured, shared
from kaibo.errors import FormatError, KaiboError, MissingError, UsageError
from kaibo.models.adapters import open_adapter, open_base
from kaibo.models.anatomy import architecture
from kaibo.models.anatomy.settings import flat
from kaibo.models.anatomy.templates import special_tokens
from kaibo.models.opening import target_of
from kaibo.models.pairing.vocabularies import vocabulary_of
from kaibo.version import __version__
from kaibo.vocabulary import Finding, Model
from kaibo.vocabulary.seen import ENOUGH, in_percent
from kaibo.words import note

WEIGHTS = (".safetensors", ".gguf", ".index.json", ".bin", ".pt", ".pth")
T = TypeVar("T")
STARTS = ("initializer_range", "init_std", "initializer_std")
"""Where configs keep the σ that weights start from."""


def check(
    models: Address | Iterable[Address],
    *,
    base: Address | None = None,
    adapter: Address | None = None,
    settings: Settings | None = None,
    on_error: OnError | None = None,
) -> Finding[CheckRow]:
    """What is wrong with each model, a row each; with `base` also whether training took.

    The weights are read once, for the census that the store keeps; what else is read are some rows of the table of
    tokens, samples of stacked experts and scales. With `base` both models are read side by side. With `adapter`, too,
    the model is what base and adapter were merged to, and how many times the adapter is in it is estimated. Files that
    are cut or lack are findings. Raises UsageError for an adapter without a base, and what opening raises otherwise.
    """
    if adapter is not None and base is None:
        raise UsageError("--adapter needs --base", next="kaibo check MERGED --base BASE --adapter ADAPTER")
    settings, report = settings or Settings(), on_error or raising
    rows = []
    for address in addresses(models):
        try:
            rows.append(_checked(address, base, adapter, settings))
        except KaiboError as error:
            if settings.fail_fast or error.kind in ("storage", "stopped"):
                raise
            report(error)
    provenance = {"kaibo": __version__, "models": {row.model: row.model_id or None for row in rows}}
    return Finding(CHECK, tuple(rows), (), provenance)


def share_check(
    models: Address | Iterable[Address], shard: Shard, *, base: Address | None, settings: Settings, on_error: OnError
) -> Iterator[Share]:
    """Reads a shard's part of what `check` keeps in the store; what is wrong with files is for the verdict to tell."""
    for address in addresses(models):
        try:
            yield from _shared(address, shard, base, settings)
        except KaiboError as error:
            if settings.fail_fast or error.kind in ("storage", "stopped"):
                raise
            on_error(error)


def _shared(address: str, shard: Shard, base: Address | None, settings: Settings) -> Iterable[Share]:
    if base is not None:
        asked = DiffOptions(exact=False)
        with suppress(MissingError, FormatError):  # broken: then there is no comparison
            return share_diff(base, address, shard, options=asked, settings=settings, on_error=raising, also=[address])
    found, _ = _sound(address, settings, lambda how, report: shared(address, shard, how, report))
    return [] if found is None else [found]


def faults_of(found: Finding[CheckRow], *, remarks: bool = False) -> Finding[FaultRow]:
    """All findings of all models as one table, or all remarks."""
    rows = tuple(one for row in found.rows for one in (row.remarks if remarks else row.findings))
    return Finding(REMARKS if remarks else FAULTS, rows, (), found.provenance)


def _checked(address: str, base: Address | None, adapter: Address | None, settings: Settings) -> CheckRow:
    collected, broken = _collected(address, settings)
    if collected is None:
        return _row(address, None, broken, [])
    compared = None
    if base is not None and not collected.failures:
        compared = compare_addresses(base, address, replace(settings, verify=False))
    row = examined(collected, compared, broken)
    if adapter is None or base is None:
        return row
    return _with(row, list(_merged(collected.model, base, adapter, settings)))


def _merged(model: Model, base: Address, adapter: Address, settings: Settings) -> Iterator[Fault]:
    opened = open_adapter(adapter)
    if opened is None:
        raise MissingError("is no adapter", file=os.fspath(adapter), next="name the folder with adapter_config.json")
    yield from merged(model, open_base(base, trust_shards=settings.trust_shards), opened)


def _collected(address: str, settings: Settings) -> tuple[Collected | None, list[Fault]]:
    """The census of a model, and what of its files is broken; where an index is wrong, its shards are still read."""
    found, errors = _sound(address, settings, lambda how, report: measured(address, how, report))
    return found, [_broken(error) for error in errors]


def _sound(
    address: str, settings: Settings, read: Callable[[Settings, OnError], Iterator[T]]
) -> tuple[T | None, list[KaiboError]]:
    """What reading a model gives, by its shards where its index is wrong; raises for what holds no weights at all."""
    errors: list[KaiboError] = []
    found = next(read(settings, errors.append), None)
    if found is None and not (isinstance(errors[0], MissingError | FormatError) and _holds_weights(address)):
        raise errors[0]
    if found is None and not settings.trust_shards:
        again: list[KaiboError] = []
        found = next(read(replace(settings, trust_shards=True), again.append), None)
        errors += [] if found is None else again
    return found, errors


def _broken(error: KaiboError) -> Fault:
    kind = "incomplete" if isinstance(error, MissingError) else "malformed"
    return Fault(kind, error.tensor or error.file, error.line)


def _holds_weights(address: str) -> bool:
    """Whether weights, or the index of some, are at an address at all."""
    try:
        target = target_of(address)
        return target.file is not None or any(name.endswith(WEIGHTS) for name in target.names())
    except (KaiboError, OSError):
        return False


def examined(collected: Collected, compared: Compared | None = None, broken: Sequence[Fault] = ()) -> CheckRow:
    """What is wrong with a model that was counted, and beside the base that it was compared with."""
    model, rows = collected.model, collected.rows
    found = [*broken, *promised(model), *tied(model, rows), *values(rows)]
    if model.family == "adapter":
        of_adapter = list(_of_adapter(collected))
        said = {one.tensor for one in of_adapter}
        found = [*(one for one in found if one.tensor not in said), *of_adapter]
    else:
        drawn = architecture(model.config)
        found += [*untrained(rows, _start(model.config), drawn.layers), *repeats(rows), *dead_experts(rows)]
        found += [*stacked_experts(model), *scales(model), *pickles_beside(model)]
    in_tokens, remarks = _tokens(model)
    found += in_tokens
    if compared is not None:
        found += [*took(compared.rows, compared.base.model.address), *_template(compared)]
    return _row(model.address, collected, found, remarks)


def _of_adapter(collected: Collected) -> Iterator[Fault]:
    yield from zero_factors(collected.rows)
    opened = open_adapter(collected.model.address)
    if opened is not None:
        yield from unreached(opened)


def _start(config: Mapping[str, Any]) -> float | None:
    """The σ that weights started from, as the config says it."""
    settings = flat(config)
    said = [settings.get(name) for name in STARTS]
    return next((float(one) for one in said if isinstance(one, int | float) and not isinstance(one, bool)), None)


def _tokens(model: Model) -> tuple[list[Fault], list[Fault]]:
    """(faults, remarks) about the table of tokens, the tokenizer and special tokens."""
    table = table_of(model)
    if table is None or model.family == "adapter":
        return [], []
    vocabulary = vocabulary_of(model.address)
    generation = model.documents.get("generation_config.json")
    said = {"config.json": flat(model.config), "generation_config.json": generation}
    settings = {place: document for place, document in said.items() if isinstance(document, Mapping)}
    template = model.documents.get("chat_template")
    tokens = None if vocabulary is None else {row: token for token, row in vocabulary.items()}
    found, remarks = untrained_rows(table, tokens, template if isinstance(template, str) else "")
    found += [*out_of_range(table.rows, settings, vocabulary), *unknown(special_tokens(model.documents), vocabulary)]
    return found, remarks


def _template(compared: Compared) -> Iterator[Fault]:
    """A chat template that the base has and the model has not, or has otherwise."""
    before, after = (one.model.documents.get("chat_template") for one in (compared.base, compared.tuned))
    if not isinstance(before, str) or before == after:
        return
    if not isinstance(after, str):
        yield fault("template-missing", "chat_template", base=compared.base.model.address)
    elif before.rstrip("\n") != after.rstrip("\n"):
        lines = zip(before.splitlines(), after.splitlines(), strict=False)
        place = next((n for n, (one, other) in enumerate(lines, 1) if one != other), 1)
        yield fault("template-differs", "chat_template", base=compared.base.model.address, line=place)


def _row(address: str, collected: Collected | None, found: Sequence[Fault], remarks: Sequence[Fault]) -> CheckRow:
    unique = {(one.kind, one.tensor, str(one.evidence)): one for one in found}
    weights = () if collected is None else collected.model.weights
    empty = CheckRow(
        model=address,
        model_id="" if collected is None else collected.model_id,
        verdict="",
        sound=None,
        findings=(),
        remarks=tuple(one.of(address) for one in remarks),
        tensors=len(weights),
        parameters=sum(tensor.size for tensor in weights),
        seen=None if collected is None else collected.model.seen,
    )
    return _with(empty, list(unique.values()))


def _with(row: CheckRow, found: Sequence[Fault]) -> CheckRow:
    """The row with further findings, and the verdict on all of them."""
    findings = (*row.findings, *(one.of(row.model) for one in found))
    seen = row.seen if row.seen is not None else 1.0
    said = {"tensors": f"{row.tensors:,}", "parameters": f"{row.parameters:,}", "seen": in_percent(seen)}
    if findings and not row.tensors:
        verdict, sound = note("check_unread"), False
    elif findings:
        verdict, sound = note("check_found", count=len(findings), **said), False
    elif seen < ENOUGH:
        verdict, sound = note("check_unseen", **said), None
    else:
        verdict, sound = note("check_sound", **said), True
    return replace(row, findings=findings, verdict=verdict, sound=sound)
