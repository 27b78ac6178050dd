"""Findings about norms and about fine-tunes of one base, made by hand."""

from kaibo.chapters import kinds
from kaibo.chapters.fine_tunes.rows import ApartRow, KeptRow, MethodRow, RankRow, RatioRow, TunedRow
from kaibo.chapters.norms.ask import norms
from kaibo.chapters.norms.rows import SizeRow, WayRow
from kaibo.chapters.norms.ways import BY_TENSOR, MEAN, REPORTED, RIGHT
from kaibo.vocabulary import Finding

HOWS = (RIGHT, BY_TENSOR["float16"], BY_TENSOR["bfloat16"], MEAN)
CELLS = ("SFT 1e-5", "DPO 1e-5", "SFT→DPO 1e-5")


def reported():
    return norms([(100, 5.0, 1.0), (100, 50.0, 1.0)], ["one", "other"])


def ways(pairs=1):
    rows = [
        WayRow(f"pair {pair}", how, 100, 4, 5.0, 1.0, 5.0, 10.0, 0.5 + place, place < 1, 0.0, 0.0, None, None)
        for pair in range(pairs)
        for place, how in enumerate(HOWS)
    ]
    return Finding(kinds()["norm-ways"], tuple(rows))


def sizes(pairs=1):
    rows = [
        SizeRow(f"pair {pair}", how, factor, 1e-4 * factor, 1.0, 1.0, 0.6 + place / factor, place < 1)
        for pair in range(pairs)
        for place, how in enumerate(HOWS)
        for factor in (0.5, 1.0, 2.0)
    ]
    return Finding(kinds()["norm-sizes"], (*rows, SizeRow("a row", REPORTED, None, 1e-4, 1.0, 1.0, 1.2, False)))


def lengths():
    rows = [
        TunedRow(cell, "SFT", 1e-5, data, "1", "/m", against, 9, 9, 1.0, l2, 0.1, 0.1, 0.1, 0.1, 0.1, 0.2, l2 / 0.2)
        for cell in CELLS
        for against in (("base", "parent") if "→" in cell else ("base",))
        for data, l2 in (("D0", 0.1), ("D1", 0.3))
    ]
    return Finding(kinds()["fine-tunes"], tuple(rows))


def apart():
    numbers = {"n": 9, "l1": 1.0, "cosine": float("nan"), "sign_conflict": 0.1, "bf16_l2": 0.3}
    rows = [
        ApartRow(cell, by, "/a", "/b", "D0", "1", l2=l2, **numbers)
        for cell in CELLS
        for by, l2 in (("seed", 0.2), ("data", 0.0), ("both", 0.4))
    ]
    return Finding(kinds()["fine-tune-pairs"], tuple(rows))


def ratios(low=1.0):
    numbers = (4, 2, 2, 0.1, 0.11, 1.1, None, None, 0.5, 0.25, 8, low, 1.2, 0.01)
    rows = [RatioRow(cell, role, "l2", *numbers) for cell in CELLS[:2] for role in ("all", "mlp.up")]
    return Finding(kinds()["fine-tune-ratios"], tuple(rows))


def methods():
    rows = [
        MethodRow("DPO", "SFT", 1e-5, 3, 0.7, 0.6, 0.8, 0.5, 0.4, 0.6, 0.2, (0.6, 0.7, 0.8), (0.4, 0.5, 0.6)),
        MethodRow("SFT→DPO", "DPO", 1e-5, 1, 1.0, None, None, 0.9, None, None, None, (1.0,), (0.9,)),
    ]
    return Finding(kinds()["fine-tune-methods"], tuple(rows))


def kept():
    rows = [
        KeptRow(cell, scope, percent, 2, 1.0, 1.0, *(percent / 100,) * 6)
        for cell in CELLS
        for scope in ("global", "tensor")
        for percent in (1.0, 10.0, 100.0)
    ]
    return Finding(kinds()["fine-tune-kept"], tuple(rows))


def ranks():
    rows = [RankRow(cell, role, 6, 7.0, 6.5, 7.5, 2.0, 8.0, 64) for cell in CELLS for role in ("mlp.up", "attention.q")]
    return Finding(kinds()["fine-tune-ranks"], tuple(rows))
