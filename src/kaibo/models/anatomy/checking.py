"""What a config promises against what the header of the weights says."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable

from kaibo.errors import escaped
from kaibo.models.anatomy.naming import BUFFER
from kaibo.vocabulary import Architecture, Tensor

_MOST_NAMES = 3


def check_parameters(architecture: Architecture, tensors: Iterable[Tensor]) -> tuple[str, ...]:
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
        return (f"{len(packed)} tensors are packed or integers ({names}): not compared with the config's parameters.",)
    beyond = [t for t in weights if t.layer is not None and architecture.layers and t.layer >= architecture.layers]
    strange = [tensor for tensor in weights if tensor.role == "other" and tensor not in beyond]
    counted = [tensor for tensor in weights if tensor not in beyond and tensor.role != "other"]
    found: Counter[str] = Counter()
    for tensor in counted:
        found[tensor.role] += math.prod(tensor.shape)
    said = [_padding(architecture, counted), _head(architecture, found)]
    said += [_beyond(architecture, beyond), _strange(strange)]
    explained = _explained(architecture, counted, found)
    said += [_role(role, architecture, found) for role in _roles(architecture, found) if role not in explained]
    return tuple(sentence for sentence in said if sentence)


def _roles(architecture: Architecture, found: Counter[str]) -> list[str]:
    return [*architecture.parameters_by_role, *sorted(set(found) - set(architecture.parameters_by_role))]


def _role(role: str, architecture: Architecture, found: Counter[str]) -> str | None:
    promised, there = architecture.parameters_by_role.get(role, 0), found[role]
    if promised == there:
        return None
    more = "more" if there > promised else "fewer"
    return (
        f"{role}: the weights hold {there:,} values, the config promises {promised:,} "
        f"({abs(there - promised):,} {more})."
    )


def _rows(architecture: Architecture, counted: list[Tensor]) -> int | None:
    """Rows of the one embedding table, where it differs from the config in its rows alone."""
    tables = [tensor for tensor in counted if tensor.role == "embedding"]
    if len(tables) != 1 or len(tables[0].shape) != 2 or architecture.vocabulary is None:
        return None
    rows, width = tables[0].shape
    fits = architecture.parameters_by_role.get("embedding") == architecture.vocabulary * width
    return rows if fits and rows != architecture.vocabulary else None


def _padding(architecture: Architecture, counted: list[Tensor]) -> str | None:
    rows = _rows(architecture, counted)
    if rows is None or architecture.vocabulary is None:
        return None
    difference = rows - architecture.vocabulary
    what = f"{difference:,} rows of padding" if difference > 0 else f"{-difference:,} rows are missing"
    return f"The embedding has {rows:,} rows, the config a vocabulary of {architecture.vocabulary:,}: {what}."


def _head(architecture: Architecture, found: Counter[str]) -> str | None:
    promised, there = architecture.parameters_by_role.get("head", 0), found["head"]
    if architecture.tied and there and not promised:
        return (
            f"The config ties the head to the embedding, yet the weights hold a head of {there:,} values: "
            "a second copy, or one of its own."
        )
    if promised and not there:
        return (
            f"The config promises a head of its own ({promised:,} values), and the weights hold none: "
            "it is tied after all, or it was left out."
        )
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


def _beyond(architecture: Architecture, beyond: list[Tensor]) -> str | None:
    if not beyond:
        return None
    size = sum(math.prod(tensor.shape) for tensor in beyond)
    return (
        f"{len(beyond)} tensors ({size:,} values) belong to layers from {architecture.layers} on, "
        "which the config does not count."
    )


def _strange(strange: list[Tensor]) -> str | None:
    if not strange:
        return None
    size = sum(math.prod(tensor.shape) for tensor in strange)
    return f"{len(strange)} tensors ({size:,} values) have no role in this family: {_names(strange)}."


def _names(tensors: list[Tensor]) -> str:
    names = ", ".join(escaped(tensor.name, 80) for tensor in tensors[:_MOST_NAMES])
    return names if len(tensors) <= _MOST_NAMES else f"{names} …"
