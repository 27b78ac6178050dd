"""A finding of a series, from vectors made by hand."""

import numpy as np

from kaibo.chapters import kinds
from kaibo.chapters.series.audit import path_of
from kaibo.chapters.series.following import needed
from kaibo.chapters.series.following import series as analyse
from kaibo.vocabulary import Finding
from kaibo.vocabulary.series import CheckpointFacts


def series(steps=(0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000, 2000)):
    random = np.random.default_rng(0)
    vectors = np.cumsum(random.normal(size=(len(steps), 50)), axis=0)
    vectors[3] = vectors[-1]
    facts = [
        CheckpointFacts(
            f"/run/step{step}", f"step{step}", step, f"{vector[0]}", 50, float(np.linalg.norm(vector)), 0.02,
            0, {"mlp.up": 0.02, "norm": 0.1}, stable_rank={"mlp.up": 5.0}, entropy_rank={"mlp.up": 8.0 + step / 1e3},
        )
        for step, vector in zip(steps, vectors, strict=True)
    ]  # fmt: skip
    distances = {(i, j): float(np.linalg.norm(vectors[j] - vectors[i])) for i, j in needed(path_of(facts))}
    whole = analyse(facts, distances)
    return Finding(kinds()["series-checkpoints"], whole.rows[0].checkpoints, whole.notes, whole.provenance)
