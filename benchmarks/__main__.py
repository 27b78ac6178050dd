"""`make bench`: prints every figure beside its peer and writes bench.json."""

from __future__ import annotations

import dataclasses
import json
import platform
import tempfile
from itertools import chain
from pathlib import Path

from benchmarks import differences, evaluating, llama, merging, scoring, tables, training, trends, weights


def main() -> None:
    rows = []
    print(
        f"{platform.machine()}, Python {platform.python_version()}; ratios of medians, both sides in one run\n",
        flush=True,
    )
    with tempfile.TemporaryDirectory(prefix="kaibo-bench-") as folder:
        rooms = (
            tables,
            weights,
            differences,
            merging,
            training,
            llama,
            evaluating,
            scoring,
            trends,
        )
        for figure in chain.from_iterable(room.figures(Path(folder)) for room in rooms):
            rows.append(dataclasses.asdict(figure))
            verdict = "ok  " if figure.holds else "MISS"
            said = f"{figure.ratio:.3g} {figure.unit} (reach {figure.reach}; {figure.seen})"
            print(f"{verdict} {figure.name} / {figure.peer}: {said}", flush=True)
    Path("bench.json").write_text(json.dumps(rows, indent=2) + "\n")


main()
