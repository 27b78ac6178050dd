"""Small findings about scores made by hand, for the tests of figures."""

from __future__ import annotations

from kaibo.chapters import kinds
from kaibo.chapters.corrupt.rows import CorruptRow
from kaibo.chapters.score.rows import ContextRow, TokenCell
from kaibo.vocabulary import Finding


def corrupt(models: int = 2, mode: str = "uniform") -> Finding[CorruptRow]:
    rows = tuple(
        CorruptRow(
            model=f"./model-{model}", step=None, share=share, mode=mode, unit="token", seeds=1, tokens=100, replaced=10,
            vocabulary=400, nats=500.0, ppl=20.0 * 20**share, ppl_low=None if share == 0 else 15.0 * 20**share,
            ppl_high=None if share == 0 else 25.0 * 20**share, floor=400.0**share, above_floor=3.0 - 3 * share,
            clean_ppl=20.0, replaced_ppl=None, kept_ppl=20.0,
        )
        for model in range(models)
        for share in (0.0, 0.5, 1.0)
    )  # fmt: skip
    return Finding(kinds()["corrupt"], rows)


def tokens(models: int = 1) -> Finding[TokenCell]:
    pieces = ["The", " quick", "解", "", "", "\n", "<b>", "\x1b"]
    rows = tuple(
        TokenCell(f"./model-{model}", "a.txt", place, piece, None if place == 0 else 1.5 * place)
        for model in range(models)
        for place, piece in enumerate(pieces * 12)
    )
    return Finding(kinds()["score-tokens"], rows)


def contexts(models: int = 1) -> Finding[ContextRow]:
    rows = tuple(
        ContextRow(f"./model-{model}", least, 2 * least, 10, 9.0 - place, None if place == 0 else 8.0 - place, 10.0)
        for model in range(models)
        for place, least in enumerate((0, 1, 2, 4))
    )
    return Finding(kinds()["score-context"], rows)
