"""What the config promises beside what the headers list: tensors that lack, shapes, vocabulary, heads, parts, types."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from kaibo.chapters.check.rows import Fault, fault
from kaibo.models.anatomy import anatomy_for, architecture, check_further, check_parameters, family_of
from kaibo.models.anatomy.catalogue import family
from kaibo.models.anatomy.promising import promises
from kaibo.models.anatomy.settings import settings_of
from kaibo.models.packings import group_of
from kaibo.vocabulary import Model, Row, Tensor

KINDS: Mapping[str, str] = {
    "check_dtype": "dtype",
    "check_ahead": "part",
    "check_part": "part",
    "check_shape": "shape",
    "check_shapes": "shape",
    "check_padding": "vocabulary",
    "check_rows_missing": "vocabulary",
    "check_head_lacks": "head",
    "check_role_fewer": "missing",
}
"""Which kind of fault a difference between config and headers is; what is not listed is none."""

ROWS = ("check_padding", "check_rows_missing")

MOST = 20
"""Names of lacking tensors that are given for each role."""


def promised(model: Model) -> Iterator[Fault]:
    """The differences between config and headers that are faults, each with the first tensor that lacks."""
    if model.family == "adapter" or not model.config:
        return
    drawn = architecture(model.config, documents=model.documents, model=model.address)
    said = [*check_parameters(drawn, model.tensors), *check_further(drawn, model.config, model.tensors)]
    lacking = _lacking(model)
    for sentence in said:
        key = str(getattr(sentence, "key", "")).rpartition(".")[2]
        kind = KINDS.get(key)
        if kind is None or (kind == "dtype" and _packed(model.tensors)):
            continue
        if key in ("check_shape", "check_shapes") and any(str(getattr(one, "key", "")).endswith(ROWS) for one in said):
            continue  # another number of tokens was said already
        if kind != "missing":
            yield Fault(kind, _named(kind, model), sentence)
            continue
        names = lacking.get(str(sentence.values["role"]), ())
        for name in names[:MOST]:
            yield Fault("missing", name, sentence)
        if not names:
            yield Fault("missing", None, sentence)


def _packed(tensors: Sequence[Tensor]) -> bool:
    return any(group_of(tensor) is not None for tensor in tensors)


def _named(kind: str, model: Model) -> str | None:
    """The tensor that a fault of a kind is in."""
    role = {"vocabulary": "embedding"}.get(kind)
    return next((tensor.canonical for tensor in model.tensors if tensor.role == role), None)


def _lacking(model: Model) -> Mapping[str, Sequence[str]]:
    """The promised names that no tensor has, by role; a role whose names are spelled otherwise lacks them all."""
    name = family_of(model.config)
    if name is None:
        return {}
    anatomy, placing = family(name), anatomy_for(model.config, [tensor.name for tensor in model.tensors])
    held = {tensor.canonical for tensor in model.tensors}
    found: dict[str, list[str]] = defaultdict(list)
    for one in promises(model.config, anatomy, settings_of(model.config, anatomy)):
        for expert in range(max(one.experts, 1)):
            place = placing.place(one.name.replace("{expert}", str(expert)))
            if place.canonical not in held:
                found[place.role].append(place.canonical)
    return found


def tied(model: Model, rows: Sequence[Row]) -> Iterator[Fault]:
    """A head that the config says is the embedding, and which is another table."""
    anatomy = family_of(model.config)
    if anatomy is None or not settings_of(model.config, family(anatomy)).flags.get("tied"):
        return
    tables = {role: [row for row in rows if row.role == role and len(row.shape) == 2] for role in ("embedding", "head")}
    if any(len(found) != 1 for found in tables.values()):
        return
    (table,), (head,) = tables["embedding"], tables["head"]
    if head.content != table.content and (head.shape, head.dtype) == (table.shape, table.dtype):
        yield fault("tied-differs", head.tensor, table=table.tensor, head=head.content, embedding=table.content)
