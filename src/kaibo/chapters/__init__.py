"""One folder per subject, named as its command; inside, each layer knows those below it only.

`command` (parse, print) → `ask` (the verb: open, collect, analyse, hand back a finding) → `draw` (findings in, a chart
out, computes nothing) → the numbers, in files named for what they compute → `rows` (records and their kinds).
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from kaibo.vocabulary.claims import CLAIMS
from kaibo.vocabulary.kinds import Kind

DECLARING = (
    "census.rows",
    "check.rows",
    "context.rows",
    "correlate.opened",
    "correlate.relation",
    "correlate.rows",
    "corrupt.rows",
    "decode.rows",
    "diff.adapter_rows",
    "diff.pair_rows",
    "diff.rows",
    "digits.opened",
    "digits.rows",
    "doctor.rows",
    "eval.rows",
    "fine_tunes.rows",
    "generate.rows",
    "inspect.rows",
    "law.opened",
    "law.rows",
    "merge.rows",
    "norms.rows",
    "nursery.ask",
    "pca.components",
    "pca.opened",
    "pca.rows",
    "probe.ask",
    "published.rows",
    "quantise.rows",
    "rescale.rows",
    "same.rows",
    "score.rows",
    "select.rows",
    "series.rows",
    "spectrum.rows",
    "stats.rows",
    "table.opened",
    "table.rows",
    "tour.rows",
    "train.ask",
    "train.rows",
    "trajectories.opened",
    "trajectories.rows",
    "trends.followed_rows",
    "trends.rows",
    "unpack.rows",
)
"""The modules that declare kinds of findings."""


def kinds() -> Mapping[str, Kind[Any]]:
    """Every kind that ships, by its name."""
    found: dict[str, Kind[Any]] = {CLAIMS.name: CLAIMS}
    for place in DECLARING:
        held = vars(import_module(f"{__name__}.{place}")).values()
        found |= {one.name: one for one in held if isinstance(one, Kind)}
    return found
