"""Any text as held-out multiple choice: what comes before a sentence, the sentence, and others from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kaibo.errors import FormatError

SENTENCE = re.compile(r"[^。．！？.!?\n]*[。．！？.!?]+[」』）)\"']*\s*|[^。．！？.!?\n]+\s*|\n+")
BEFORE = 300
"""Characters that stand before the missing sentence, at most, unless a task says otherwise."""

NEAR = 12
"""Wrong options are drawn from so many sentences, those nearest in length: length alone tells nothing."""


def sentences(text: str) -> list[str]:
    """A text cut at the ends of its sentences; put together again it is the text.

    >>> sentences("One day. 猫だ。犬?")
    ['One day. ', '猫だ。', '犬?']
    """
    return SENTENCE.findall(text)


def cloze_rows(
    text: str, file: str, items: int, options: int, seed: int, before: int = BEFORE
) -> list[Mapping[str, Any]]:
    """At most `items` rows of `id`, `before`, `options` and `target`, in the order of the text, drawn by a seed.

    `before` is how many characters stand before the missing sentence, at most.

    Raises FormatError for a text with too few different sentences.
    """
    cut = sentences(text)
    fit = [place for place, one in enumerate(cut) if place and len(one.strip()) >= 4]
    different = {cut[place].strip() for place in fit}
    if options < 2 or len(different) < options + 1:
        message = f"has {len(different)} different sentences, too few for {options} options"
        raise FormatError(message, file=file, next="give a longer text")
    random = np.random.default_rng(seed)
    chosen = sorted(random.permutation(np.array(fit))[:items].tolist())
    return [_row(cut, place, sorted(different), options, before, random) for place in chosen]


def _row(
    cut: Sequence[str], place: int, pool: Sequence[str], options: int, most: int, random: np.random.Generator
) -> Mapping[str, Any]:
    right = cut[place].strip()
    before = "".join(cut[:place])[-most:]
    others = sorted((one for one in pool if one != right), key=lambda one: (abs(len(one) - len(right)), one))
    near = others[: max(NEAR, options - 1)]
    wrong = [near[at] for at in random.permutation(len(near))[: options - 1]]
    target = int(random.integers(options))
    joiner = before[len(before.rstrip()) :]
    return {
        "id": str(place),
        "before": before.rstrip(),
        "options": [joiner + one for one in (*wrong[:target], right, *wrong[target:])],
        "target": target,
    }
