"""First digits of a file of weights, by the census that everything else uses."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kaibo.counting import Workspace, count_span, merged, spans
from kaibo.models import open_model
from kaibo.vocabulary.counts.points import digit_counts


def digit_mae(path: Path) -> float:
    """The mean distance of the shares of first digits 1 … 9 from Benford's law, over all weights of a file."""
    workspace = Workspace()
    counts = np.zeros(10, np.int64)
    for tensor in open_model(str(path)).tensors:
        census, _ = merged([count_span(tensor, begin, end, workspace) for begin, end in spans(tensor)])
        if census is not None:
            counts += digit_counts(census)
    law = np.log10(1 + 1 / np.arange(1, 10))
    return float(np.abs(counts[1:] / counts[1:].sum() - law).mean())
