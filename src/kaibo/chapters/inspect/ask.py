"""`kaibo inspect`: what a model is, from its config and the headers of its files; no weights are read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from kaibo.chapters.inspect.rows import INSPECT, TENSORS, TensorRow
from kaibo.chapters.inspect.side_by_side import CARD, EXTENDED, SideBySide
from kaibo.chapters.inspect.side_by_side import side_by_side as views
from kaibo.desk.addresses import Address, OnError, addresses, raising
from kaibo.errors import KaiboError, UsageError, escaped
from kaibo.models import Description, open_description
from kaibo.models.anatomy import architecture, check_further, check_parameters
from kaibo.version import __version__
from kaibo.vocabulary import Architecture, Finding
from kaibo.words import Note, note

if TYPE_CHECKING:
    from kaibo.models.formats import StoredTensor
    from kaibo.vocabulary import Tensor


def inspect(
    models: Address | Iterable[Address],
    *,
    tokens: int | None = None,
    contexts: Sequence[str | int] = (),
    trust_shards: bool = False,
    on_error: OnError | None = None,
) -> Finding[Architecture]:
    """The architecture of each model, folder or `config.json`, side by side, with `tokens` also its training FLOPs.

    `contexts` are numbers of tokens (`32k` is 32,768, `full` the model's own) at which the cache is stated.

    Where weights are there, the parameters that the config promises are checked against the headers; differences
    are notes. Raises what opening raises; UsageError where `tokens` is no count.
    """
    report = on_error or raising
    rows: list[Architecture] = []
    notes: list[Note] = []
    lengths = [_length(text) for text in contexts]
    for address in addresses(models):
        try:
            described = open_description(address, trust_shards=trust_shards)
            promised = _promise(described, tokens)
            row = _at(replace(_as_stored(promised, described), stored_bytes=_stored_bytes(described)), lengths)
        except KaiboError as error:
            report(error)
            continue
        rows.append(row)
        notes += [*described.notes, *row.malformed]
        if described.tensors is not None:
            notes += check_parameters(promised, described.tensors)
            notes += check_further(promised, described.config, described.tensors)
    return Finding(
        INSPECT, tuple(rows), tuple(notes), {"kaibo": __version__, "models": {row.model: None for row in rows}}
    )


def tensor_list(model: Address, *, trust_shards: bool = False) -> Finding[TensorRow]:
    """Every tensor of a model as the headers list it: where its bytes are, and what kaibo takes it for."""
    described = open_description(model, trust_shards=trust_shards)
    return Finding(
        TENSORS,
        tuple(row for tensor in described.tensors or () for row in _tensor_rows(tensor)),
        described.notes,
    )


def _length(text: str | int) -> int | None:
    """A number of tokens, `k` and `m` in powers of 1,024; None for `full`."""
    found = re.fullmatch(r"(\d{1,12})([km]?)", str(text).strip().lower())
    if str(text).strip().lower() == "full":
        return None
    if found is None or int(found[1]) < 1:
        raise UsageError(f"--context takes numbers of tokens such as 1k, 32768 or full, got {escaped(str(text), 40)}")
    return int(found[1]) * {"": 1, "k": 1024, "m": 1024**2}[found[2]]


def _at(row: Architecture, lengths: Sequence[int | None]) -> Architecture:
    """The row with its cache after each number of tokens; a length that is not known is left out."""
    known = [row.context if length is None else length for length in lengths]
    return replace(row, cache_at={str(n): row.cache_after(n) for n in known if n is not None and row.cache_after(n)})


def _promise(described: Description, tokens: int | None) -> Architecture:
    """What the config alone says."""
    found = architecture(described.config, documents=described.documents, tokens=tokens, model=described.address)
    return replace(found, family="adapter") if described.family == "adapter" else found


def _as_stored(promised: Architecture, described: Description) -> Architecture:
    """What the config says, with the parameters of the headers where those are others."""
    if described.tensors is None or _packed(described.tensors):
        return promised
    stored = sum(tensor.size for tensor in described.tensors if _is_weight(tensor))
    return (
        promised
        if promised.parameters == stored and promised.parameters_whole in (None, stored)
        else _from_headers(promised, described.tensors)
    )


def _stored_bytes(described: Description) -> int | None:
    """What the tensors take up in the files, scales and codebooks too; None where there are none."""
    listed = [row for tensor in described.tensors or () for row in _tensor_rows(tensor)]
    return sum(row.end - row.begin for row in listed) or None


def _is_weight(tensor: Tensor) -> bool:
    return tensor.dtype.measurable and tensor.role != "buffer"


def _packed(tensors: Sequence[Tensor]) -> bool:
    """Whether weights are packed in codes, so that the headers cannot tell their number."""
    return any(not tensor.dtype.measurable and tensor.role != "buffer" for tensor in tensors)


def _from_headers(found: Architecture, tensors: Sequence[Tensor]) -> Architecture:
    """Parameters and memory counted from the headers, where the config does not say them or says otherwise."""
    weights = [tensor for tensor in tensors if _is_weight(tensor)]
    by_role: dict[str, int] = {}
    for tensor in weights:
        by_role[tensor.role] = by_role.get(tensor.role, 0) + tensor.size
    total = sum(by_role.values())
    why = {name: reason for name, reason in found.why.items() if not name.startswith(("parameters", "weights"))}
    return replace(
        found,
        parameters=total,
        parameters_by_role=by_role,
        weights_bytes={str(bits): -(-total * bits // 8) for bits in (32, 16, 8, 4)},
        remarks=(note("headers"), *_promised(found, total)),
        why=why,
    )


def _promised(found: Architecture, total: int) -> tuple[Note, ...]:
    """How many parameters the config promises, where it is another number; of several parts, the language model's."""
    if found.parameters is None:
        return ()
    promised = found.parameters_whole or found.parameters
    said = [] if promised == total else [note("promised", count=f"{promised:,}")]
    return (*said, *([note("promised_text", count=f"{found.parameters:,}")] if found.parameters_whole else []))


def _tensor_rows(tensor: Tensor) -> Iterator[TensorRow]:
    """What the file lists: the tensor, or the codes and the parts that it is decoded from."""
    from kaibo.models.formats import StoredTensor  # a lone config has no tensors, and answers without these two
    from kaibo.models.packings import group_of

    group = group_of(tensor)
    if group is not None:
        for part in (group.codes, *group.parts.values()):
            role = tensor.role if part is group.codes else "other"
            yield replace(_tensor_row(part), layer=tensor.layer, role=role, measurable=part is group.codes)
    elif isinstance(tensor, StoredTensor):
        yield _tensor_row(tensor)


def _tensor_row(tensor: StoredTensor) -> TensorRow:
    return TensorRow(
        name=tensor.name,
        dtype=tensor.dtype.name,
        shape=tensor.shape,
        file=tensor.file,
        begin=tensor.begin,
        end=tensor.end,
        layer=tensor.layer,
        role=tensor.role,
        measurable=tensor.dtype.measurable,
    )


def side_by_side(
    models: Finding[Architecture] | Address | Iterable[Address], *, card: int = CARD, extended: int = EXTENDED,
    on_error: OnError | None = None,
) -> SideBySide:  # fmt: skip
    """Parameters by role, cache, memory against a card of so many bytes, and reach, for models or what `inspect` gave.

    `extended` is the number of tokens for which the reach says what it takes. Raises what `inspect` raises.
    """
    found = models if isinstance(models, Finding) else inspect(models, on_error=on_error)
    return views(found.rows, card=card, extended=extended)
