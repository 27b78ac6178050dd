"""Small findings of the table side, computed from made tables, for the tests of figures."""

import numpy as np

from kaibo.chapters.correlate.relation import Pair, correlate
from kaibo.chapters.law.lawfit import FitSettings
from kaibo.chapters.law.laws import LawSettings, law
from kaibo.chapters.law.splits import Split
from kaibo.chapters.pca.components import ComponentSettings, components
from kaibo.chapters.trajectories.along_training import trajectories
from kaibo.vocabulary.scores import ScoreTable


def made(rows=24):
    rng = np.random.default_rng(0)
    size = 10 ** rng.uniform(8, 11, rows)
    ability = np.log(size / 1e9) / 3 + 0.2 * rng.normal(size=rows)
    values = 1 / (1 + np.exp(-ability[:, None] * rng.uniform(0.6, 1.2, 5) + 0.1 * rng.normal(size=(rows, 5))))
    values[3, 1] = np.nan
    models = tuple(f"org/model-{k}" for k in range(rows))
    families = tuple(f"family {k % 4}" for k in range(rows))
    facts = {"parameters": size, "tokens": np.full(rows, 1e12)}
    return ScoreTable("made", models, tuple("abcde"), values, ("fraction",) * 5, families, facts)


def components_finding():
    return components(made(), ComponentSettings(draws=20, permutations=50))


def law_finding():
    how = LawSettings(tuple("abcd"), 2, FitSettings(draws=20, starts=5), Split("random", 0.3))
    return law(made(), "e", how)


def _pair(x, y):
    table = made()
    return Pair(x, y, *(dict(zip(table.models, table.column(name).tolist(), strict=True)) for name in (x, y)))


def pair_finding():
    return correlate([_pair("a", "c")])


def pairs_finding():
    return correlate([_pair(x, y) for x in "abcde" for y in "abcde" if x < y])


def trajectories_finding():
    rng = np.random.default_rng(1)
    sizes, steps = np.meshgrid([1e8, 3e8, 1e9], 2.0 ** np.arange(0, 14), indexing="ij")
    size, step = sizes.ravel(), steps.ravel()
    loss = 1 + (size / 1e7) ** -0.3 + (step / 10 + 1) ** -0.4 * 3
    accuracy = 1.2 / loss + 0.005 * rng.normal(size=len(size))
    values = np.column_stack([accuracy, np.exp(loss)])
    models = tuple(f"m{int(s)}@{int(t)}" for s, t in zip(size, step, strict=True))
    facts = {"parameters": size, "tokens": step * 1e6, "step": step, "flops": 6e6 * size * step}
    return trajectories(
        ScoreTable("made", models, ("task.acc", "text.ppl"), values, ("fraction", "points"), ("f",) * len(size), facts)
    )
