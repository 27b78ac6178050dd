"""A trimmed task vector: the difference with zeros where trimming keeps nothing. It is a model like any other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from kaibo.models.derived.merge_kernels import trim
from kaibo.models.formed import formed
from kaibo.vocabulary import DTYPES, Buffer, Model, Patterns, Tensor
from kaibo.vocabulary.merging import WHOLE, Trim


@dataclass(frozen=True, eq=False)
class Trimmed:
    """A float32 tensor with what `keep` leaves of it, zero elsewhere."""

    tensor: Tensor
    keep: Trim

    def chunks(self, buffer: Buffer, begin: int = 0, end: int | None = None) -> Iterator[Patterns]:
        """The trimmed values, a buffer's worth at a time; raises what reading the tensor raises."""
        threshold = np.float32(self.keep.threshold)
        at = begin
        for chunk in self.tensor.chunks(buffer, begin, end):
            trim(chunk.view(np.float32), threshold, self.keep.cutoff - at)
            at += chunk.size
            yield chunk


def _trimmed(tensor: Tensor, keep: Trim) -> Tensor:
    """What is kept of a tensor; its source key is the tensor's own with that."""
    key = tensor.source_key
    known = None if key is None else f"trimmed:{keep.threshold!r}:{keep.cutoff}:{key}"
    return formed(Trimmed(tensor, keep), tensor, dtype=DTYPES["F32"], source_key=known)


def trimmed(vector: Model, keeps: Mapping[str, Trim]) -> Model:
    """A task vector (a model of float32 differences) with what `keeps` says of each tensor, by canonical name.

    A tensor that is not named is kept whole.
    """
    tensors = tuple(_trimmed(tensor, keeps.get(tensor.canonical, WHOLE)) for tensor in vector.weights)
    return replace(vector, address=f"trimmed {vector.address}", name=f"trimmed {vector.name}", tensors=tensors)
