"""Old pickles beside safetensors: whether both hold the same weights."""

from __future__ import annotations

import os
from collections.abc import Iterator

from kaibo.chapters.check.rows import Fault, fault
from kaibo.chapters.same.spans import Sampled, seen
from kaibo.errors import KaiboError
from kaibo.models import open_model
from kaibo.models.opening import target_of
from kaibo.models.pairing import pair_models
from kaibo.vocabulary import Model

PICKLES = ("pytorch_model.bin.index.json", "pytorch_model.bin")

SHARE = 0.02
"""Of spans of 65,536 values are looked at, one of each tensor at least: an old file differs everywhere."""


def pickles_beside(model: Model) -> Iterator[Fault]:
    """The tensors that an old `.bin` of the same folder holds otherwise; a pickle that is refused is left alone."""
    if not model.files or not all(name.endswith(".safetensors") for name in model.files):
        return
    try:
        target = target_of(model.address)
        name = None if target.file or target.far else next((name for name in PICKLES if target.has(name)), None)
        if name is None:
            return
        other = open_model(os.path.join(target.root, name))
    except KaiboError:
        return
    pairs = [pair for pair in pair_models(model, other).pairs if pair.base.dtype.measurable]
    found = list(seen(pairs, Sampled(SHARE), 1))
    wrong = [
        one
        for one in found
        if one.tally.equal < one.tally.looked and not (one.sides.coarse and one.tally.fits(exact=True))
    ]
    if wrong:
        first = wrong[0].pair.base.canonical
        yield fault("pickle-differs", first, file=name, tensors=len(wrong), of=len(found), first=first)
