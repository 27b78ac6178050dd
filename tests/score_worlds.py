"""Worlds of scores along training, at the sizes of published evaluations: what size does to them is known."""

import numpy as np

from kaibo.vocabulary.scores import ScoreTable

SIZES = np.array([70e6, 160e6, 410e6, 1e9, 1.4e9, 2.8e9, 6.9e9, 12e9])
STEPS = np.r_[2.0 ** np.arange(0, 10), np.arange(1000, 144_000, 10_000)]
BATCH = 2_097_152


def table_of(accuracy, surprise, sizes=SIZES, steps=STEPS, stderr=None):
    """A table of one accuracy and one perplexity; sizes first, then steps."""
    size, step = (grid.ravel() for grid in np.meshgrid(sizes, steps, indexing="ij"))
    names = tuple(f"m{int(one)}" for one in size)
    facts = {"parameters": size, "step": step, "tokens": step * BATCH}
    values = np.column_stack([accuracy.ravel(), np.exp(surprise.ravel())])
    errors = None if stderr is None else np.column_stack([np.broadcast_to(stderr, len(size)), 0.02 * values[:, 1]])
    rows = tuple(f"{name}@{int(at)}" for name, at in zip(names, step, strict=True))
    return ScoreTable(
        "made", rows, ("task.acc", "text.ppl"), values, ("fraction", "points"), names, facts, {"model": names}, {},
        errors,
    )  # fmt: skip


def surprise_of(sizes=SIZES, steps=STEPS):
    """Nats of a text that fall with size and with steps."""
    return 1.5 + 3 * (sizes[:, None] / 1e6) ** -0.2 + 6 * (1 + steps[None, :] / 50) ** -0.3


def given_perplexity(seed, points=0.0, sizes=SIZES, steps=STEPS, noise=0.012, turning=False, shared=0.5):
    """Accuracy by perplexity alone, and `points` more for a tenfold size (at the end only, where `turning`).

    Noise is that of some 1,500 questions; a run's checkpoints share a part of its variance.
    """
    random = np.random.default_rng([seed, 21])
    surprise = surprise_of(sizes, steps)
    decades = np.log10(sizes / sizes.mean())[:, None]
    when = (steps[None, :] / steps[-1] if turning else 1.0) + 0 * surprise
    if turning:
        when = 2 * (surprise.max() - surprise) / np.ptp(surprise) - 1
    own = random.normal(size=surprise.shape)
    run = random.normal(size=(len(sizes), 1))
    off = noise * (np.sqrt(shared) * run + np.sqrt(1 - shared) * own)
    accuracy = 0.25 + 0.6 / (1 + np.exp(2 * (surprise - 4))) + 0.01 * points * decades * when + off
    return table_of(accuracy, surprise + 0.01 * random.normal(size=surprise.shape), sizes, steps, noise)


def by_flops(seed, lead=0.0, sizes=SIZES, steps=STEPS, noise=0.012, shared=0.0, slope=0.05):
    """Accuracy that climbs with FLOPs alike for all sizes; `lead` is what a tenth of the size gains at few FLOPs, and
    loses at many.
    """
    random = np.random.default_rng([seed, 22])
    flops = np.log10(6 * sizes[:, None] * steps[None, :] * BATCH)
    decades = np.log10(sizes / sizes.mean())[:, None]
    middle = 20.0
    turn = np.tanh((flops - middle) / 1.0)
    off = noise * (
        np.sqrt(shared) * random.normal(size=(len(sizes), 1)) + np.sqrt(1 - shared) * random.normal(size=flops.shape)
    )
    accuracy = 0.3 + slope * (flops - 14) + lead * decades * turn + off
    return table_of(accuracy, surprise_of(sizes, steps), sizes, steps, noise)
