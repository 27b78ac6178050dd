"""Models made from models, formed while they are read: what works on a stored model works on these."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from kaibo.models.formed import formed
from kaibo.models.pairing import Pair, pair_models
from kaibo.models.views import computed
from kaibo.vocabulary import DTYPES, Buffer, Model, Patterns, Tensor, widen32
from kaibo.words import about, note


@dataclass(frozen=True, eq=False)
class Difference:
    """Δ = tuned − base of two tensors of one shape, in float32; of 64-bit floats formed in 64 bits, rounded once.

    Beside the caller's buffer it holds one chunk of each side.
    """

    pair: Pair

    def chunks(self, buffer: Buffer, begin: int = 0, end: int | None = None) -> Iterator[Patterns]:
        """The differences, a buffer's worth at a time; raises what reading either side raises."""
        base, tuned = self.pair.base, self.pair.tuned
        step = buffer.nbytes // 4
        rooms = [np.empty(step * side.dtype.itemsize, np.uint8) for side in (base, tuned)]
        sides = zip(base.chunks(rooms[0], begin, end), tuned.chunks(rooms[1], begin, end), strict=True)
        for before, after in sides:
            out = buffer[: 4 * before.size].view(np.float32)
            with np.errstate(invalid="ignore", over="ignore"):
                out[:] = widen32(tuned.dtype.name, after) - widen32(base.dtype.name, before)
            yield out.view("<u4")


def difference_of(pair: Pair, source_key: str | None = None) -> Tensor:
    """What was added to one tensor, in float32, under the base's name of it."""
    return formed(Difference(pair), pair.base, dtype=DTYPES["F32"], source_key=source_key)


def difference(tuned: Model, base: Model) -> Model:
    """What was added to `base` to make `tuned`: a model of the float32 differences of the tensors both have.

    Tensors that meet in no other are left out and named in the notes; see `pair_models`.
    """
    paired = pair_models(base, tuned)
    tensors = tuple(difference_of(pair, _key(pair)) for pair in paired.pairs)
    left_out = tuple(
        about(lone.side, note("left_out_tensor", tensor=lone.tensor, why=lone.why)) for lone in paired.unmatched
    )
    address = f"{tuned.address} - {base.address}"
    return Model(address, f"{tuned.name} - {base.name}", base.family, tensors, notes=(*paired.notes, *left_out))


def _key(pair: Pair) -> str | None:
    """The same two sides give the same difference: what was measured of it may be looked up."""
    keys = pair.base.source_key, pair.tuned.source_key
    return None if None in keys else f"difference:{keys[0]}:{keys[1]}"


def scaled(model: Model, factor: float) -> Model:
    """Every weight of a model times a number, in float32."""
    tensors = tuple(computed(tensor, lambda values: values * np.float64(factor)) for tensor in model.weights)
    return replace(model, address=f"{factor} * {model.address}", name=f"{factor} * {model.name}", tensors=tensors)
