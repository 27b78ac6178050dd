"""What a config promises against what the header of the weights says."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from kaibo.errors import escaped
from kaibo.models.anatomy.catalogue import family
from kaibo.models.anatomy.naming import BUFFER, anatomy_for, family_of, nearest_family
from kaibo.models.anatomy.promising import promises
from kaibo.models.anatomy.settings import settings_of, texts_in
from kaibo.vocabulary import Architecture
from kaibo.words import Note, note

if TYPE_CHECKING:
    from kaibo.vocabulary import Tensor

_MOST_NAMES = 3
AHEAD = "mtp"
_AHEAD_KEYS = ("num_nextn_predict_layers", "mtp_num_hidden_layers", "num_mtp_layers")
_TYPE_KEYS = ("dtype", "torch_dtype")
_TYPES = {"bfloat16": "BF16", "float16": "F16", "float32": "F32"}


def check_parameters(architecture: Architecture, tensors: Iterable[Tensor]) -> tuple[Note, ...]:
    """The differences between the parameters a config promises and the tensors that are there, as sentences.

    None of them is an error. Nothing is said where they agree, and nothing where the config could not be counted.
    Names in the sentences are escaped.
    """
    if architecture.parameters is None:
        return ()
    weights = [tensor for tensor in tensors if tensor.role != BUFFER]
    packed = [tensor for tensor in weights if not tensor.dtype.measurable]
    if packed:
        names = _names(packed)
        return (note("check_packed", count=len(packed), names=names),)
    beyond = [t for t in weights if t.layer is not None and architecture.layers and t.layer >= architecture.layers]
    strange = [tensor for tensor in weights if tensor.role == "other" and tensor not in beyond]
    counted = [tensor for tensor in weights if tensor not in beyond and tensor.role != "other"]
    found: Counter[str] = Counter()
    for tensor in counted:
        found[tensor.role] += math.prod(tensor.shape)
    said = [_padding(architecture, counted), _head(architecture, found), *_without_parts(architecture, found)]
    said += [_beyond(architecture, beyond), _strange(strange)]
    explained = _explained(architecture, counted, found)
    said += [_role(role, architecture, found) for role in _roles(architecture, found) if role not in explained]
    return tuple(sentence for sentence in said if sentence)


def check_further(architecture: Architecture, config: Mapping[str, Any], tensors: Iterable[Tensor]) -> tuple[Note, ...]:
    """What the config says beside the numbers: shapes, types, layers that predict further tokens, a family like it."""
    weights = [tensor for tensor in tensors if tensor.role != BUFFER]
    said = [_like(config, weights), _dtype(config, weights), _ahead(architecture, config, weights)]
    said += _shapes(config, weights)
    return tuple(sentence for sentence in said if sentence)


def _like(config: Mapping[str, Any], weights: list[Tensor]) -> Note | None:
    """The known family that a model which none describes is named like."""
    if family_of(config) is not None or not config or not weights:
        return None
    found = nearest_family(tensor.name for tensor in weights)
    if found is None:
        return None
    name, share = found
    return note("check_like", share=f"{share:.0%}", family=name)


def _dtype(config: Mapping[str, Any], weights: list[Tensor]) -> Note | None:
    """The type most values are stored in, where the config names another."""
    said = next((str(part[key]) for part in (config, *texts_in(config)) for key in _TYPE_KEYS if part.get(key)), None)
    wanted = _TYPES.get(str(said).removeprefix("torch."))
    if wanted is None or "quantization_config" in config or not weights:
        return None
    held: Counter[str] = Counter()
    for tensor in weights:
        held[tensor.dtype.name] += math.prod(tensor.shape)
    most = held.most_common(1)[0][0]
    return None if most == wanted else note("check_dtype", said=said, wanted=wanted, stored=most)


def _ahead(architecture: Architecture, config: Mapping[str, Any], weights: list[Tensor]) -> Note | None:
    """Layers that predict further tokens, which the config counts and the weights lack."""
    said = [(key, part[key]) for part in (config, *texts_in(config)) for key in _AHEAD_KEYS if key in part]
    key, count = next(((k, n) for k, n in said if isinstance(n, int) and not isinstance(n, bool) and n > 0), ("", 0))
    beyond = (tensor.layer is not None and tensor.layer >= (architecture.layers or 0) for tensor in weights)
    if not count or not weights or any(tensor.role == AHEAD for tensor in weights) or any(beyond):
        return None
    return note("check_ahead", count=count, key=key)


def _shapes(config: Mapping[str, Any], weights: list[Tensor]) -> list[Note]:
    """The tensors whose shape is not the promised one: the first by name, and how many there are."""
    name = family_of(config)
    if name is None:
        return []
    anatomy = family(name)
    anatomy_of = anatomy_for(config, ())
    promised = {
        anatomy_of.place(one.name.replace("{expert}", "0")).canonical: one.shape
        for one in promises(config, anatomy, settings_of(config, anatomy))
    }
    wrong = [(tensor, promised.get(tensor.canonical)) for tensor in weights if tensor.dtype.measurable]
    wrong = [(tensor, shape) for tensor, shape in wrong if shape is not None and tuple(tensor.shape) != shape]
    if not wrong:
        return []
    tensor, shape = wrong[0]
    told = {"name": escaped(tensor.name, 80), "shape": tuple(tensor.shape), "promised": shape}
    if len(wrong) == 1:
        return [note("check_shape", **told)]
    return [note("check_shapes", **told, others=f"{len(wrong) - 1:,}")]


def _lost(architecture: Architecture, found: Counter[str]) -> list[str]:
    """Parts that the config names and of which the weights hold nothing."""
    named = [part for part in architecture.parameters_by_part if part != "text"]
    return [part for part in named if not any(role.startswith(f"{part}.") for role in found)]


def _without_parts(architecture: Architecture, found: Counter[str]) -> list[Note]:
    sizes = architecture.parameters_by_part
    return [note("check_part", part=part, size=f"{sizes[part]:,}") for part in _lost(architecture, found)]


def _roles(architecture: Architecture, found: Counter[str]) -> list[str]:
    promised = {**architecture.parameters_by_role, **architecture.other_roles}
    lost = set(_lost(architecture, found))
    roles = [*promised, *sorted(set(found) - set(promised) - {AHEAD})]
    return [role for role in roles if role.partition(".")[0] not in lost]


def _role(role: str, architecture: Architecture, found: Counter[str]) -> Note | None:
    promised = architecture.parameters_by_role.get(role, architecture.other_roles.get(role, 0))
    there = found[role]
    if promised == there:
        return None
    apart = f"{abs(there - promised):,}"
    key = "check_role_more" if there > promised else "check_role_fewer"
    return note(key, role=role, there=f"{there:,}", promised=f"{promised:,}", apart=apart)


def _rows(architecture: Architecture, counted: list[Tensor]) -> int | None:
    """Rows of the one embedding table, where it differs from the config in its rows alone."""
    tables = [tensor for tensor in counted if tensor.role == "embedding"]
    if len(tables) != 1 or len(tables[0].shape) != 2 or architecture.vocabulary is None:
        return None
    rows, width = tables[0].shape
    fits = architecture.parameters_by_role.get("embedding") == architecture.vocabulary * width
    return rows if fits and rows != architecture.vocabulary else None


def _padding(architecture: Architecture, counted: list[Tensor]) -> Note | None:
    rows = _rows(architecture, counted)
    if rows is None or architecture.vocabulary is None:
        return None
    difference = rows - architecture.vocabulary
    key = "check_padding" if difference > 0 else "check_rows_missing"
    return note(key, rows=f"{rows:,}", vocabulary=f"{architecture.vocabulary:,}", count=f"{abs(difference):,}")


def _head(architecture: Architecture, found: Counter[str]) -> Note | None:
    promised, there = architecture.parameters_by_role.get("head", 0), found["head"]
    if architecture.tied and there and not promised:
        return note("check_head_tied", size=f"{there:,}")
    if promised and not there:
        return note("check_head_lacks", size=f"{promised:,}")
    return None


def _explained(architecture: Architecture, counted: list[Tensor], found: Counter[str]) -> set[str]:
    """Roles that another sentence already speaks of."""
    explained = {"head"} if _head(architecture, found) else set()
    rows, vocabulary = _rows(architecture, counted), architecture.vocabulary
    if rows is not None and vocabulary:
        explained.add("embedding")
        if found["head"] * vocabulary == architecture.parameters_by_role.get("head", 0) * rows:
            explained.add("head")
    return explained


def _beyond(architecture: Architecture, beyond: list[Tensor]) -> Note | None:
    if not beyond:
        return None
    size = sum(math.prod(tensor.shape) for tensor in beyond)
    return note("check_beyond", count=len(beyond), size=f"{size:,}", layers=architecture.layers)


def _strange(strange: list[Tensor]) -> Note | None:
    if not strange:
        return None
    size = sum(math.prod(tensor.shape) for tensor in strange)
    return note("check_strange", count=len(strange), size=f"{size:,}", names=_names(strange))


def _names(tensors: list[Tensor]) -> str:
    names = ", ".join(escaped(tensor.name, 80) for tensor in tensors[:_MOST_NAMES])
    return names if len(tensors) <= _MOST_NAMES else f"{names} …"
