"""`kaibo same`: do two models hold the same weights, whatever they are packed in and however they are laid out."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from kaibo.chapters.same.rows import SAME, Field, SameRow, TensorVerdict
from kaibo.chapters.same.spans import SMALL, Sampled, Seen, seen
from kaibo.chapters.same.tallies import Tally
from kaibo.collect import granted_workers
from kaibo.collect.engine import Task, counted
from kaibo.counting import content_hash, spans
from kaibo.desk.addresses import Address, OnError, addresses, raising
from kaibo.desk.measuring import Settings
from kaibo.errors import KaiboError, UsageError
from kaibo.models.adapters import open_base, open_tuned, vocabularies
from kaibo.models.opening import target_of
from kaibo.models.pairing import Pair, Pairing, pair_models
from kaibo.models.pairing.comparing import changes
from kaibo.models.pairing.sides import Side
from kaibo.version import __version__
from kaibo.vocabulary import Finding, Model
from kaibo.vocabulary.findings import BUFFER
from kaibo.words import Note, note

Hashes = Mapping[str, Mapping[str, str]]

WAYS = ("dtype", "torch_dtype", "quantization_config", "architectures", "initializer_range")
"""Keys of a config that say how weights are stored or began, not what the model does."""

ALIKE = {"mistral": "llama"}
"""Families that compute the same under the same settings; a GGUF calls both by one name."""

BESIDE = ("rope_freqs.weight",)
"""Tensors that follow from the config."""


def same(
    a: Address,
    b: Address | Iterable[Address],
    *,
    sample: float = 1.0,
    hashes: bool = False,
    settings: Settings | None = None,
    on_error: OnError | None = None,
) -> Finding[SameRow]:
    """Whether `a` holds the weights of `b`, a row for each candidate, the likeliest first.

    Each tensor is *identical* (the same values, stored alike), identical under a named *layout*, *within* the rounding
    of the side that is packed or stored in a coarser type, *near* (its codes were chosen together and most values lie
    within a step of theirs), or *changed*. With `sample` below 1 so large a share of spans of 65,536 values is read,
    and a note says what that can promise. With `hashes` the certificate has the content hashes of the tensors and the
    SHA-256 of every weight file. Raises UsageError for a share outside (0, 1], and what opening raises.
    """
    if not 0 < sample <= 1:
        raise UsageError(f"--sample must be above 0 and at most 1, got {sample}")
    settings, report = settings or Settings(), on_error or raising
    first = open_base(a, trust_shards=settings.trust_shards)
    rows: list[SameRow] = []
    for address in addresses(b):
        try:
            other = open_tuned(address, first, trust_shards=settings.trust_shards)
            rows.append(_row(first, other, Sampled(sample), hashes, settings))
        except KaiboError as error:
            if settings.fail_fast or error.kind in ("storage", "stopped"):
                raise
            report(error)
    rows.sort(key=lambda row: (row.verdict != "same", row.n_changed, -(row.inside or 0.0)))
    return Finding(SAME, tuple(rows), tuple(_notes(rows, sample)), {"kaibo": __version__})


def _row(a: Model, b: Model, sampled: Sampled, hashes: bool, settings: Settings) -> SameRow:
    pairing = pair_models(a, b, vocabularies(a, b))
    pairs = [pair for pair in pairing.pairs if pair.base.role != BUFFER]
    found = list(seen(pairs, sampled, granted_workers(settings.workers), settings.progress))
    sides = Side("base", a), Side("tuned", b)
    tensors = tuple(_verdict(one, sides) for one in found)
    only = {side: tuple(_alone(pairing, side, a if side == "base" else b)) for side in ("base", "tuned")}
    fields = tuple(_fields(a, b))
    counts = {
        f"n_{kind}": sum(one.verdict == kind for one in tensors)
        for kind in ("identical", "layout", "within", "near", "changed")
    }
    rough = [one for one in found if one.sides.coarse]
    looked = sum(one.tally.looked for one in rough)
    expected = sum((one.chance or (0.0,))[0] * one.tally.looked for one in rough)
    different = (
        counts["n_changed"] or only["base"] or only["tuned"] or any(one.contradicts for one in fields) or not tensors
    )
    return SameRow(
        a=a.address,
        b=b.address,
        verdict="different" if different else "near" if counts["n_near"] else "same",
        **counts,
        inside=sum(one.tally.inside for one in rough) / looked if looked else None,
        expected_inside=expected / looked if looked else None,
        tensors=tensors,
        only_in_a=only["base"],
        only_in_b=only["tuned"],
        fields=fields,
        certificate=_certificate(a, b, found, sampled, _hashes(pairs, settings) if hashes else None),
        why={} if looked else {"inside": note("same_plain"), "expected_inside": note("same_plain")},
    )


def _verdict(one: Seen, sides: tuple[Side, Side]) -> TensorVerdict:
    pair, tally = one.pair, one.tally
    equal = tally.equal == tally.looked
    contradicts = _contradicts(pair.layout, sides)
    coarse, packed = one.sides.coarse, one.sides.packed is not None
    chance = one.chance if coarse and one.chance else (None, None)
    if contradicts or not (equal or (coarse and tally.fits(exact=not packed))):
        verdict = "near" if one.sides.joint and tally.step >= (1 + (chance[1] or 0)) / 2 * tally.looked else "changed"
    elif packed or not equal:  # equal to the centre of its cell is still only within it
        verdict = "within"
    else:
        alike = pair.base.dtype.name == pair.tuned.dtype.name and not pair.layout
        verdict = "identical" if alike else "layout"
    first = tally.first if verdict in ("changed", "near") and tally.first >= 0 else None
    stored = (
        "" if pair.base.dtype.name == pair.tuned.dtype.name else f"{pair.base.dtype.name} – {pair.tuned.dtype.name}"
    )
    return TensorVerdict(
        name=pair.base.canonical,
        verdict=verdict,
        layout=pair.layout or stored,
        n=pair.base.size,
        looked=tally.looked,
        equal=tally.equal,
        inside=tally.inside / tally.looked if coarse and tally.looked else None,
        expected_inside=chance[0],
        in_step=tally.step / tally.looked if coarse and tally.looked else None,
        expected_in_step=chance[1],
        far=tally.far if coarse else tally.looked - tally.equal,
        relative=tally.relative,
        largest=tally.largest,
        begins=None if first is None else _place(first, pair, turned=one.sides.turned),
    )


def _place(first: int, pair: Pair, *, turned: bool) -> tuple[int, ...]:
    """The index of a value along each axis; of a matrix that was looked at transposed in its own order."""
    shape = pair.base.shape[::-1] if turned else pair.base.shape
    found = tuple(int(at) for at in np.unravel_index(first, shape))
    return found[::-1] if turned else found


def _contradicts(layout: str, sides: tuple[Side, Side]) -> bool:
    """Whether a layout was undone that the families of the two do not account for: rows of q and k, a norm's 1."""
    told = [side.layout for side in sides]
    order = "rotary positions" in layout and told[0].get("rope") == told[1].get("rope")
    shifted = "1 + weight" in layout and told[0].get("norm_offset") == told[1].get("norm_offset")
    return order or shifted


def _alone(pairing: Pairing, side: str, model: Model) -> Iterator[str]:
    """What only one side has, but for buffers and what follows from the config."""
    roles = {tensor.canonical: tensor.role for tensor in model.tensors}
    for lone in pairing.unmatched:
        if lone.side == side and roles.get(lone.tensor) != BUFFER and lone.tensor not in BESIDE:
            yield lone.tensor


def _fields(a: Model, b: Model) -> Iterator[Field]:
    """What differs beside the weights; it counts where both sides say it and the two contradict each other."""
    for one in changes(a, b, vocabularies(a, b)):
        key = one.what.rpartition(": ")[2]
        stored = one.what.startswith("config: ") and any(f": {way}" in one.what for way in WAYS)
        named = [ALIKE.get(str(side), str(side)) for side in (one.before, one.after)]
        said = one.before is not None and one.after is not None and not (key == "model_type" and len({*named}) == 1)
        yield Field(one.what, one.before, one.after, said and not stored and key not in WAYS)


def _certificate(
    a: Model, b: Model, found: Sequence[Seen], sampled: Sampled, tensors: Hashes | None
) -> Mapping[str, Any]:
    """What was compared, under which rule, and what files and tensors it was."""
    total = Tally()
    for one in found:
        total += one.tally
    return {
        "kaibo": __version__,
        "a": {"address": a.address, "files": _files(a, tensors is not None)},
        "b": {"address": b.address, "files": _files(b, tensors is not None)},
        "values": total.looked,
        "equal": total.equal,
        "sample": sampled.share,
        "seed": sampled.seed,
        "spans": sum(-(-one.tally.looked // SMALL) for one in found) if sampled.share < 1 else None,
        **({} if tensors is None else {"tensors": tensors}),
    }


def _hashes(pairs: Sequence[Pair], settings: Settings) -> Hashes:
    """The content hash of both sides of each pair, of the values as they were compared; equal ones hold the same."""
    sides = [
        (pair.base.canonical, side, tensor) for pair in pairs for side, tensor in (("a", pair.base), ("b", pair.tuned))
    ]
    asked = [(tensor, span) for _, _, tensor in sides for span in spans(tensor)]
    tasks = (Task(tensor, *span, last=span == spans(tensor)[-1], hashed=True) for tensor, span in asked)
    found: dict[str, dict[str, str]] = {}
    digests: tuple[bytes, ...] = ()
    left = iter(sides)
    for done in counted(tasks, granted_workers(settings.workers)):
        if done.part is None:
            raise done.error or AssertionError("a span has digests or an error")
        digests += done.part.digests
        if done.task.last:
            name, side, tensor = next(left)
            found.setdefault(name, {})[side] = content_hash(tensor, digests)
            digests = ()
    return found


def _files(model: Model, hashes: bool) -> dict[str, dict[str, Any]]:
    """Size of each weight file, with its SHA-256 where that is asked for."""
    target = target_of(model.address)
    found: dict[str, dict[str, Any]] = {}
    for name in model.files:
        if target.far is not None:
            found[name] = {"bytes": target.opened(name).size}
            continue
        path = os.path.join(target.root, name)
        found[name] = {"bytes": os.path.getsize(path) if os.path.exists(path) else None}
        if hashes and found[name]["bytes"] is not None:
            with open(path, "rb") as file:
                found[name]["sha256"] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def _notes(rows: Sequence[SameRow], sample: float) -> Iterator[Note]:
    for row in rows[:1] if sample < 1 else ():
        spans = max(row.certificate["spans"], 1)
        yield note("same_sampled", share=f"{sample:g}", spans=f"{spans:,}", missed=f"{1 - 0.05 ** (1 / spans):.2g}")
    if len(rows) > 1:
        best, other = rows[0], rows[1]
        inside = [f"{row.inside:.4f}" if row.inside is not None else "–" for row in (best, other)]
        yield note("same_candidate", best=best.b, inside=inside[0], other=other.b, others=inside[1])
