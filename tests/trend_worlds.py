"""Worlds in which an outcome about trends must hold and worlds in which it must not, at the sizes that runs have."""

import numpy as np

import sample_trends as sample
from kaibo.analyses.trends import ScoredSeries

STEPS = np.unique(np.round(np.geomspace(100, 100_000, 32))).astype(int)
"""A run of 32 checkpoints, evenly over the logarithm of the step."""

LINEAR = np.arange(1000, 31_000, 1000)
"""A run of 30 checkpoints, evenly over the step."""


def run_of(nats, steps=STEPS, name="run", parameters=10**6):
    """A run with these nats; perplexities below 1 do not exist, so levels are lifted to where none occurs."""
    nats = np.asarray(nats)
    assert nats.min() > 0
    tokens = sample.text_of(nats.shape[1])
    return ScoredSeries(name, tuple(int(one) for one in steps), nats.astype(np.float32), tokens, parameters)


def noise_of(random, checkpoints, tokens, rho=0.0):
    out = random.normal(size=(checkpoints, tokens))
    for place in range(1, checkpoints):
        out[place] = rho * out[place - 1] + np.sqrt(1 - rho * rho) * out[place]
    return out


def x_of(steps):
    return np.log(np.asarray(steps, float) / steps[0])[:, None]


def constant_slopes(seed, steps=STEPS, tokens=2000, noise=0.1, later=1.0, rho=0.0):
    """Every token falls or rises at its own unchanging rate; `later` is what the noise becomes by the end."""
    random = np.random.default_rng([seed, 1])
    slopes = np.where(random.random(tokens) < 0.5, -0.06, 0.0) * random.uniform(0.5, 1.5, tokens)
    x = x_of(steps)
    scale = noise * np.where(x > x[-1] / 2, later, 1.0)
    return 4 + slopes * x + scale * noise_of(random, len(steps), tokens, rho)


def flattening(seed, steps=STEPS, tokens=2000, noise=0.05):
    """Half of the tokens fall until the middle of log(step) and stay there."""
    random = np.random.default_rng([seed, 2])
    falls = random.random(tokens) < 0.5
    x = x_of(steps)
    return 4 - 0.3 * falls * np.minimum(x, x[-1] / 2) + noise * noise_of(random, len(steps), tokens)


def rousing(seed, steps=STEPS, tokens=2000, noise=0.05):
    """The other way round: tokens rest first and are learned later."""
    random = np.random.default_rng([seed, 3])
    falls = random.random(tokens) < 0.5
    x = x_of(steps)
    return 5 - 0.3 * falls * np.maximum(x - x[-1] / 2, 0) + noise * noise_of(random, len(steps), tokens)
