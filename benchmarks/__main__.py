"""`make bench`: prints every figure beside its peer, writes bench.json; `python -m benchmarks tables llama`: some."""

from __future__ import annotations

import dataclasses
import json
import platform
import sys
import tempfile
from itertools import chain
from pathlib import Path

from benchmarks import (
    checking,
    differences,
    evaluating,
    formats,
    llama,
    machines,
    merging,
    packed,
    scoring,
    studies,
    tables,
    training,
    trends,
    weights,
)

ROOMS = {
    "tables": tables,
    "weights": weights,
    "packed": packed,
    "formats": formats,
    "checking": checking,
    "differences": differences,
    "merging": merging,
    "training": training,
    "llama": llama,
    "evaluating": evaluating,
    "scoring": scoring,
    "trends": trends,
    "machines": machines,
    "studies": studies,
}


def main(names: list[str]) -> None:
    rows = []
    unknown = [name for name in names if name not in ROOMS]
    if unknown:
        raise SystemExit(f"no benchmarks are called {unknown[0]}; there are {', '.join(ROOMS)}")
    print(
        f"{platform.machine()}, Python {platform.python_version()}; ratios of medians, both sides in one run\n",
        flush=True,
    )
    with tempfile.TemporaryDirectory(prefix="kaibo-bench-") as folder:
        rooms = [room for name, room in ROOMS.items() if not names or name in names]
        for figure in chain.from_iterable(room.figures(Path(folder)) for room in rooms):
            rows.append(dataclasses.asdict(figure))
            verdict = "ok  " if figure.holds else "MISS"
            said = f"{figure.ratio:.3g} {figure.unit} (reach {figure.reach}; {figure.seen})"
            print(f"{verdict} {figure.name} / {figure.peer}: {said}", flush=True)
    Path("bench.json").write_text(json.dumps(rows, indent=2) + "\n")


main(sys.argv[1:])
