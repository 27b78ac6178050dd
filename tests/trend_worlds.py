"""Worlds in which an outcome about trends must hold and worlds in which it must not, at the sizes that runs have."""

import numpy as np

import sample_trends as sample
from kaibo.chapters.trends.scored import ScoredSeries

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


def rare_and_noisy(seed, steps=STEPS, tokens=2000, rare=0.15, noise=0.05, times=6.0, rho=0.0, chosen=1.0):
    """Flat curves; in blocks of five, rare tokens have higher levels and several times the noise, which words of a
    block share in part. Returns nats and the set: this part of the rare tokens.
    """
    random = np.random.default_rng([seed, 4])
    blocks = -(-tokens // 5)
    is_rare = random.random(blocks) < rare
    the_set = np.repeat(is_rare & (random.random(blocks) < chosen), 5)[:tokens]
    is_rare = np.repeat(is_rare, 5)[:tokens]
    scale = noise * np.where(is_rare, times, 1.0)
    shared = np.repeat(noise_of(random, len(steps), blocks, rho), 5, axis=1)[:, :tokens]
    own = noise_of(random, len(steps), tokens, rho)
    return 6 + 3.0 * is_rare + scale * (0.5 * shared + np.sqrt(0.75) * own), the_set


def rising_and_falling(seed, steps=STEPS, height=0.4, **more):
    """The same, but the tokens of the set rise and fall again."""
    nats, the_set = rare_and_noisy(seed, steps, **more)
    x = x_of(steps)
    return nats + height * np.exp(-((x - x[-1] / 2) ** 2)) * the_set, the_set


def pair(small, large, steps=STEPS):
    """A smaller and a larger run over the same text."""
    return [run_of(small, steps, "small", 10**6), run_of(large, steps, "large", 10**7)]


def finishing(seed, falls, until, steps=STEPS, noise=0.04, level=5.0):
    """Tokens that `falls` marks fall until this part of log(step), and rest from there on; the others rest."""
    random = np.random.default_rng([seed, 5])
    x = x_of(steps)
    return level - 0.25 * falls * np.minimum(x, until * x[-1]) + noise * noise_of(random, len(steps), len(falls))


def in_blocks(seed, share, tokens=1500):
    """A share of the tokens, in blocks of five, as words of a text are alike."""
    return np.repeat(np.random.default_rng([seed, 6]).random(-(-tokens // 5)) < share, 5)[:tokens]


def larger_faster(seed, holds=True):
    """The larger run rests from the middle on and the smaller does not; or both fall alike, the larger quieter."""
    falls = in_blocks(seed, 0.6)
    early = 0.5 if holds else 1.0
    return pair(finishing(seed, falls, 1.0, noise=0.06), finishing(seed + 1000, falls, early, noise=0.03, level=4.5))


def nested_sets(seed, kind="nested"):
    """What is finished in the smaller run is finished in the larger, and more is; or sets that have nothing to do with
    each other, the larger the larger; or one and the same set.
    """
    own = in_blocks(seed, 0.7)
    larger = {"nested": own & in_blocks(seed + 1, 0.5), "apart": in_blocks(seed + 2, 0.35), "same": own}[kind]
    return pair(finishing(seed, own, 1.0), finishing(seed + 1000, larger, 1.0, level=4.5))


def forgotten(seed, falls_again=True, times=6.0, rho=0.0, tokens=1500, noise=0.02):
    """Rare tokens, noisier than others, rise in the smaller run; in the larger they also fall again, or are flat."""
    nats, is_rare = rare_and_noisy(seed, tokens=tokens, times=times, rho=rho, noise=noise)
    x = x_of(STEPS)
    random = np.random.default_rng([seed, 7])
    scale = np.where(is_rare, times, 1.0)
    flat = 5.5 + 3 * is_rare + noise * scale * noise_of(random, len(STEPS), tokens, rho)
    bump = 0.4 * np.exp(-((x - x[-1] / 2) ** 2)) * is_rare if falls_again else 0.0
    return pair(nats + 0.25 * x * is_rare, flat + bump)
