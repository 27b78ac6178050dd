"""Findings about Benford's law, written down: what a rescaling reaches, what leaving the law costs, groups."""

from kaibo.chapters import kinds
from kaibo.chapters.digits.rows import DigitGroupRow
from kaibo.chapters.rescale.rows import LawTrialRow, RescaleRow
from kaibo.vocabulary import Finding


def rescaled(models=1):
    rows = [
        RescaleRow(
            model=f"/models/{place}",
            towards=way,
            n=1000,
            mae_before=0.0179,
            mae=mae,
            gaussian_mae=0.0234,
            mixture_mae=0.02,
            channels=100,
            scaled=60,
            kept_back=0,
            reached=0.8,
            exponent_low=-9,
            exponent_high=9,
            sweeps=2,
        )
        for place in range(models)
        for way, mae in (("law", 1e-6), ("away", 0.0202))
    ]
    return Finding(kinds()["rescale"], tuple(rows))


def grouped(course=False):
    labels = [("optimiser", "adamw"), ("optimiser", "sgd"), ("<b>own</b>", "one")]
    rows = [
        DigitGroupRow(f"/m/{label}", group, label, step, 100, 0.01 + 1e-5 * step, 0.005, 0.02, 0.0234, 0.015)
        for group, label in labels
        for step in ((1, 10, 100) if course else (100,))
    ]
    return Finding(kinds()["digit-course" if course else "digit-groups"], tuple(rows))


def trial():
    names = [("as-is", 6.0, True), ("rescaled-law", 6.0, True), ("digits-1-2-control", 14.0, False)]
    rows = [
        LawTrialRow("m", name, None, 0.01, 0.001, 8, 0.2, 99, ppl, ppl - 1, ppl + 1, *(None,) * 6, same)
        for name, ppl, same in [*names, ("digits-1-2", 12.0, False), ("ternary", 5000.0, False)]
    ]
    return Finding(kinds()["law-trial"], tuple(rows))
