"""Findings about Benford's law, written down: what a rescaling reaches."""

from kaibo.analyses.scaling import RescaleRow
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
    return Finding("rescale", tuple(rows))
