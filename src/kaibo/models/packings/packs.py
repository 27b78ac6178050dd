"""Quantised files: which tensors are codes and their bookkeeping, and 8-bit codes multiplied by their scales."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from kaibo.models.anatomy.parts import rules
from kaibo.models.views import unpacked
from kaibo.vocabulary import Model, Tensor


@dataclass(frozen=True)
class Packs:
    """What of a model is packed. `method` is what `config.json` says of it, such as `gptq`; "" where it is silent."""

    model: Model

    @cached_property
    def _names(self) -> Mapping[str, Tensor]:
        return {tensor.canonical: tensor for tensor in self.model.tensors}

    @property
    def _config(self) -> Mapping[str, Any]:
        found = self.model.config.get("quantization_config")
        return found if isinstance(found, Mapping) else {}

    @property
    def method(self) -> str:
        """The method that `config.json` names; "" where it names none."""
        method = self._config.get("quant_method")
        return method if isinstance(method, str) else ""

    @cached_property
    def stems(self) -> Mapping[str, str]:
        """Stem of a weight → what of it is stored instead, for everything that is packed."""
        found: dict[str, str] = {}
        for name in self._names:
            ending = next((ending for ending in rules()["packs"] if name.endswith(f".{ending}")), None)
            if ending is not None:
                found.setdefault(name.removesuffix(f".{ending}"), name)
        return found

    def why_not(self, tensor: Tensor) -> str:
        """Why a tensor is no weights to be compared; "" where nothing speaks against it."""
        ending = next((ending for ending in rules()["packs"] if tensor.canonical.endswith(f".{ending}")), None)
        what = rules()["packs"][ending] if ending else ""
        method = f" ({self.method[:40]})" if self.method else ""
        if what:
            return f"{tensor.dtype.name}: {what}{method}, not weights"
        if not tensor.dtype.measurable:
            return f"{tensor.dtype.name} is not a type of weights{method}"
        return ""

    def instead_of(self, canonical: str) -> str:
        """What stands for a weight that is packed in this model; "" where nothing does."""
        held = self.stems.get(canonical.removesuffix(".weight"), "")
        return "" if canonical in self._names else held

    def weights(self, tensor: Tensor) -> tuple[Tensor, str]:
        """The tensor, multiplied by its scales where it is 8-bit codes of some; what was done, in words."""
        if tensor.dtype.bits != 8 or not tensor.dtype.measurable:
            return tensor, ""
        for ending in rules()["scales"]:
            scales = self._names.get(f"{tensor.canonical.removesuffix('.weight')}.{ending}")
            found = None if scales is None else unpacked(tensor, scales, self._block())
            if scales is not None and found is not None:
                return found, f"{tensor.dtype.name} codes multiplied by {ending}"
            if scales is not None:
                return tensor, f"{tensor.dtype.name} codes compared as they are, {ending} does not fit them"
        return tensor, ""

    def _block(self) -> tuple[int, int] | None:
        block = self._config.get("weight_block_size")
        if isinstance(block, list) and len(block) == 2 and all(type(side) is int and side > 0 for side in block):
            return block[0], block[1]
        return None
