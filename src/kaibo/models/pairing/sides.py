"""A model as pairing looks at it: its dimensions, how its tensors are laid out, and what each tensor is for.

Everything here comes from the config and the anatomy's data; no weight is read.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from kaibo.models.anatomy.catalogue import UNKNOWN, Family, family
from kaibo.models.anatomy.expressions import evaluate
from kaibo.models.anatomy.parts import fused_layout, part_role, part_rows, rules
from kaibo.models.anatomy.settings import settings_of
from kaibo.models.packings import why_not
from kaibo.models.rows import chosen_rows
from kaibo.models.views import renamed, transposed
from kaibo.vocabulary import Model, Tensor

HEAD, EMBEDDING, NORM = "head", "embedding", "norm"
PACKED_EXPERTS = ("expert.gate_up", "expert.down")


class Slot(NamedTuple):
    """What a tensor is for, whatever it is called: layer, expert, role, and `weight` or `bias`."""

    layer: int | None
    expert: int | None
    role: str
    ending: str


@dataclass(frozen=True)
class Side:
    """A model and what pairing wants to know of it; `label` is `base` or `tuned`."""

    label: str
    model: Model

    @cached_property
    def anatomy(self) -> Family | None:
        """The anatomy of the model's family, None where none describes it."""
        return None if self.model.family == UNKNOWN else family(self.model.family)

    def why_not(self, tensor: Tensor) -> str:
        """Why a tensor of the model is no weights to be compared; "" where it is."""
        quantised = self.model.config.get("quantization_config")
        method = quantised.get("quant_method") if isinstance(quantised, Mapping) else None
        return why_not(tensor, method if isinstance(method, str) else "")

    def instead_of(self, canonical: str) -> str:
        """What stands for a weight whose packing is not decoded; "" where the weight is here."""
        stem = canonical.removesuffix(".weight")
        others = [name for name in self._hidden if name == canonical or name.startswith((f"{stem}.", f"{stem}_"))]
        return others[0] if others else ""

    @cached_property
    def _hidden(self) -> tuple[str, ...]:
        return tuple(tensor.canonical for tensor in self.model.not_weights)

    @property
    def layout(self) -> Mapping[str, Any]:
        """How fused, transposed and rotated tensors lie, as the family's file says."""
        return self.anatomy.layout if self.anatomy else {}

    @cached_property
    def sizes(self) -> Mapping[str, int]:
        """The dimensions that `config.json` gives; empty where there is none."""
        return settings_of(self.model.config, self.anatomy).dimensions if self.model.config else {}

    @cached_property
    def rotary(self) -> int | None:
        """How many values of a head are turned by RoPE; None where that is not known."""
        if not self.sizes.get("head_size") or self.layout.get("rope") is None or "nope" in self.sizes:
            return None  # of latent attention only a part of each head is turned, and no other convention is in use
        from kaibo.models.anatomy.positions import positions_of

        share = positions_of(self.anatomy, settings_of(self.model.config, self.anatomy)).share
        return int(self.sizes["head_size"] * (1.0 if share is None else share)) // 2 * 2

    @cached_property
    def tied(self) -> bool | None:
        """Whether the config says that the head is the embedding; None where there is no config."""
        return settings_of(self.model.config, self.anatomy).flags.get("tied") if self.model.config else None

    @cached_property
    def embedding(self) -> Tensor | None:
        """The one table of token embeddings."""
        found = [tensor for tensor in self.model.tensors if tensor.role == EMBEDDING and len(tensor.shape) == 2]
        return found[0] if len(found) == 1 else None

    @cached_property
    def head(self) -> Tensor | None:
        """The one stored head over the vocabulary: of as many columns as the embedding."""
        width = self.embedding.shape[1:] if self.embedding is not None else None
        heads = [tensor for tensor in self.model.tensors if tensor.role == HEAD and tensor.shape[1:] == width]
        wide = [tensor for tensor in heads if tensor.shape[0] >= min(self.vocabulary_rows, 16)]
        return wide[0] if len(wide) == 1 else None

    @property
    def vocabulary_rows(self) -> int:
        """Rows of the embedding, 0 where there is none."""
        return 0 if self.embedding is None else self.embedding.shape[0]

    def holds_tokens(self, tensor: Tensor) -> bool:
        """Whether the tensor's first axis is the vocabulary: embedding, head and the head's bias."""
        if tensor.role == EMBEDDING:
            return len(tensor.shape) == 2
        outside = tensor.layer is None and tensor.role in (HEAD, "bias") and len(tensor.shape) in (1, 2)
        if self.embedding is None:
            return outside and tensor.role == HEAD
        return (
            outside and tensor.shape[0] == self.vocabulary_rows and tensor.shape[1:] in ((), self.embedding.shape[1:])
        )

    @cached_property
    def by_inputs(self) -> bool:
        """Whether the matrices named in the layout are stored with their inputs first, as GPT-2's Conv1D does.

        The anatomy says what the family's own code writes; the shapes of matrices that are not square say what is
        there.
        """
        roles = set(self.layout.get("transposed", ()))
        if not roles or self.anatomy is None:
            return False
        hidden = {} if self.embedding is None else {"hidden": self.embedding.shape[1]}
        sizes = {**hidden, **self.sizes}
        kinds = {kind.role: kind.shape for kind in self.anatomy.kinds if kind.role in roles and kind.shape}
        votes = 0
        for tensor in self.model.tensors:
            axes = [evaluate(axis, sizes) for axis in kinds.get(tensor.role, ())]
            if len(axes) == 2 and axes[0] != axes[1]:
                votes += (tensor.shape == tuple(axes)) - (tensor.shape == tuple(axes[::-1]))
        return votes >= 0

    def by_outputs(self, tensor: Tensor) -> Tensor:
        """The tensor with its outputs first: transposed where this model stores it the other way round."""
        if self.by_inputs and tensor.role in self.layout["transposed"] and len(tensor.shape) == 2:
            return transposed(tensor)
        return tensor

    @cached_property
    def slots(self) -> Mapping[str, Slot]:
        """Canonical name → slot, for every tensor whose slot is its own."""
        roles = {tensor.canonical: tensor.role for tensor in self.model.tensors}
        places = {tensor.canonical: self._slot(tensor, roles) for tensor in self.model.tensors}
        places = {**places, **self._norms(roles)}
        counts = Counter(place for place in places.values() if place is not None)
        return {name: place for name, place in places.items() if place is not None and counts[place] == 1}

    def _slot(self, tensor: Tensor, roles: Mapping[str, str]) -> Slot | None:
        stem, ending, expert = _taken_apart(tensor.canonical)
        role = roles.get(f"{stem}.weight", tensor.role) if ending == "bias" else tensor.role
        role = rules()["names"].get(stem.rpartition(".")[2], role) if role in ("other", "bias") else role
        if role in ("other", "bias", "buffer", NORM):
            return None
        if expert is not None and role.startswith("mlp."):
            role = role.replace("mlp.", "expert.")
        return Slot(tensor.layer, expert, role, ending)

    def _norms(self, roles: Mapping[str, str]) -> dict[str, Slot]:
        """The norms of a layer by their order in the anatomy: the first of two is the same norm in every family."""
        order = {} if self.anatomy is None else {kind.name: n for n, kind in enumerate(self.anatomy.kinds)}
        found: dict[int | None, list[tuple[int, str]]] = defaultdict(list)
        layers = {tensor.canonical: tensor.layer for tensor in self.model.tensors}
        for name in (name for name, role in roles.items() if role == NORM):
            layer = layers[name]
            pattern = name if layer is None else name.replace(f".{layer}.", ".{layer}.", 1)
            found[layer].append((order.get(pattern, -1), name))
        slots = {}
        for layer, norms in found.items():
            for place, (known, name) in enumerate(sorted(norms)):
                if known < 0:
                    continue
                role = f"norm {place + 1} of {len(norms)}"
                slots[name] = Slot(layer, None, role, "weight")
                bias = f"{name.removesuffix('.weight')}.bias"
                if bias in roles:
                    slots[bias] = Slot(layer, None, role, "bias")
        return slots

    def parts(self, tensor: Tensor, sizes: Mapping[str, int]) -> dict[Slot, Tensor] | None:
        """The parts of a fused tensor as views; None where it is not fused or where the numbers do not fit.

        `sizes` stand in for dimensions that this model's own config does not give.
        """
        slot = self.slots.get(tensor.canonical)
        if slot is None:
            return None
        if slot.role in PACKED_EXPERTS and len(tensor.shape) == 3 and slot.expert is None:
            return self._experts(tensor, slot)
        layout = fused_layout(slot.role, self.layout)
        whole = self.by_outputs(tensor)
        rows = (
            None if layout is None or not tensor.shape else part_rows(layout, whole.shape[0], {**sizes, **self.sizes})
        )
        if rows is None:
            return None
        return dict(_pieces(whole, slot, rows))

    def _experts(self, tensor: Tensor, slot: Slot) -> dict[Slot, Tensor]:
        """The experts of a layer that lie in one tensor [experts, outputs, inputs], each taken apart if it is fused."""
        experts, outputs, inputs = tensor.shape
        flat = renamed(tensor, shape=(experts * outputs, inputs))
        layout = fused_layout(slot.role, self.layout)
        rows = part_rows(layout, outputs, self.sizes) if layout else {"": np.arange(outputs, dtype=np.int64)}
        found: dict[Slot, Tensor] = {}
        for expert in range(experts if rows else 0):
            shifted = {part: index + expert * outputs for part, index in (rows or {}).items()}
            found |= dict(_pieces(flat, slot._replace(expert=expert), shifted))
        return found


def _pieces(whole: Tensor, slot: Slot, rows: Mapping[str, Any]) -> Iterator[tuple[Slot, Tensor]]:
    for part, index in rows.items():
        role = (part_role(slot.role, part) if part else slot.role) or slot.role
        word = " ".join(str(word) for word in (slot.expert, part.rstrip("…")) if word not in (None, ""))
        shown = f"{whole.canonical}[{word}]"
        piece = chosen_rows(whole, index)
        yield (
            slot._replace(role=role),
            renamed(piece, canonical=shown, role=role if slot.ending == "weight" else "bias"),
        )


def _taken_apart(canonical: str) -> tuple[str, str, int | None]:
    """Stem, `weight` or `bias`, and number of the expert of a name."""
    stem, _, last = canonical.rpartition(".")
    words = canonical.split(".")
    expert = None
    if "experts" in words[:-1]:
        after = words[words.index("experts") + 1]
        expert = int(after) if after.isascii() and after.isdigit() and len(after) < 7 else None
    return (stem, last, expert) if last in ("weight", "bias") else (canonical, "weight", expert)
