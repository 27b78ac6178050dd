"""Runs of three sizes over one text, simulated: tokens are learned, forgotten, finished, or rise and fall again."""

import numpy as np

from kaibo.chapters.trends.scored import ScoredSeries, Tokens

STEPS = (10, 30, 100, 300, *range(1000, 10_001, 500))
SENTENCE = "The quick brown fox jumps over it. 猫が好きです。 A second sentence stands here, which is longer!\n"


def text_of(count):
    """Tokens of about four characters over a text of sentences."""
    text = SENTENCE * (1 + 4 * count // len(SENTENCE))
    ends = 4 * np.arange(1, count + 1)
    spans = np.stack([ends - 4, ends], axis=1).astype(np.int64)
    return Tokens((text,), np.zeros(count, np.int32), np.arange(count, dtype=np.int32) % 97, spans, "text.txt")


def kinds_of(count, seed=0):
    """0 flat, 1 learned, 2 forgotten by the smallest (a bump elsewhere); in blocks, as words of a text are alike."""
    return np.repeat(np.random.default_rng(seed).choice(3, -(-count // 5), p=[0.5, 0.35, 0.15]), 5)[:count]


def runs(count=1200, noise=0.03, names=("small", "middle", "large"), seed=0):
    """Three runs; larger ones learn faster, and the tokens that the smallest forgets rise and fall again in them."""
    kinds, tokens = kinds_of(count), text_of(count)
    base = np.random.default_rng(seed).uniform(3, 6, count)[None, :]
    out = []
    for size, name in enumerate(names):
        random = np.random.default_rng([seed, size])
        x = np.log(np.asarray(STEPS) / STEPS[0])[:, None]
        level = base + 0.3 * random.normal(size=count)[None, :] - 0.4 * size
        learned = -0.12 * (1 + size) * x
        forgotten = 0.2 * x if size == 0 else 0.8 * np.exp(-((x - 6.0 + size) ** 2))
        trend = np.where(kinds == 1, learned, np.where(kinds == 2, forgotten, 0.0))
        nats = level + trend + noise * random.normal(size=(len(STEPS), count))
        trained = tuple(4096.0 * step for step in STEPS)
        out.append(ScoredSeries(name, STEPS, np.abs(nats).astype(np.float32), tokens, 10 ** (6 + size), trained))
    return out
