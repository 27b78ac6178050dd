"""Which models a law is fitted on and which it is judged by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from kaibo.errors import UsageError
from kaibo.words import Note, note

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Split:
    """How models are split: `flops` (at most `value` trains; the rest, and models without FLOPs, test), `top` (the
    share `value` with the highest targets tests), `random` (that share tests), `family` (each family is predicted by
    the others) or `none` (all train).
    """

    kind: Literal["flops", "top", "random", "family", "none"] = "none"
    value: float = 0.0

    @property
    def sentence(self) -> Note:
        """The split, as the output prints it."""
        shown = self.value if self.kind == "flops" else 100 * self.value
        return note(f"split_{self.kind}", value=f"{shown:g}")

    def train(self, flops: Floats, target: Floats, seed: int) -> NDArray[np.bool_]:
        """The mask of training models, shape (models,). Raises UsageError where one side would be empty."""
        count = len(target)
        if self.kind == "flops":
            mask = np.nan_to_num(flops, nan=np.inf) <= self.value * (1 + 1e-9)
        elif self.kind in ("top", "random"):
            held = round(self.value * count)
            order = np.argsort(target) if self.kind == "top" else np.random.default_rng(seed).permutation(count)
            mask = np.ones(count, dtype=bool)
            mask[order[count - held :]] = False
        else:
            return np.ones(count, dtype=bool)
        if mask.all() or not mask.any():
            raise UsageError(
                f"the split leaves {int(mask.sum())} models to train on and {int((~mask).sum())} to test",
                next="choose another --cutoff, --top or --random",
            )
        return mask


def parse_split(cutoff: float | None, top: float | None, random: float | None, leave_family_out: bool) -> Split:
    """The split that the options of the command line ask for; at most one of them may be given."""
    given = [cutoff is not None, top is not None, random is not None, leave_family_out]
    if sum(given) > 1:
        raise UsageError("one split at a time", next="--cutoff FLOPS, --top SHARE, --random SHARE or --by-family")
    if cutoff is not None:
        return Split("flops", cutoff)
    for kind, share in (("top", top), ("random", random)):
        if share is not None:
            if not 0 < share < 1:
                raise UsageError(f"--{kind} takes a share between 0 and 1, not {share:g}")
            return Split("top" if kind == "top" else "random", share)
    return Split("family") if leave_family_out else Split("none")
