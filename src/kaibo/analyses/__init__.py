"""Rows in, findings out: pure functions that know neither files nor models.

- `digits`: first digits against Benford's law, with two nulls
- `stats`: moments, norms, tails, entropy and hidden grids
- `profile`: σ, kurtosis and digit distance over depth, by role
- `magnitudes`: how the weights spread over powers of two
- `components`: principal components of a score table, their uncertainty (`axes`, `imputation`)
- `laws`, `forecasts`: what predicts a score (`forms`, `fitting`, `lawfit`, `splits`)
- `selection`: which families to run to know the components of all
- `relation`: does one measurement go with another
- `trajectories`: scores along training (`curves`)
- `series`: a run's checkpoints, audited and followed (`series_facts`, `series_rules`)
- `spectra`, `tails`: effective ranks and eigenvalue tails of matrices (`powerlaw`)
- `differences`, `norm_curve`, `change_map`: what changed between a base and models made from it
- `pairs`, `conflict`, `order`, `distances`: such models beside each other
- `seeds`: is a distance between data sets more than that between seeds
- `consistent_norms`: numbers that cannot be norms of one vector
"""

from kaibo.analyses.consistency import consistent_norms
from kaibo.analyses.differences import change_map, differences, norm_curve, trimmed_norms
from kaibo.analyses.digits import LAW, digits
from kaibo.analyses.distances import conflict, distances, order, pairs
from kaibo.analyses.magnitudes import magnitudes
from kaibo.analyses.profile import profile
from kaibo.analyses.seeds import Label, seeds
from kaibo.analyses.stats import stats

__all__ = [
    "LAW",
    "Label",
    "change_map",
    "conflict",
    "consistent_norms",
    "differences",
    "digits",
    "distances",
    "magnitudes",
    "norm_curve",
    "order",
    "pairs",
    "profile",
    "seeds",
    "stats",
    "trimmed_norms",
]
