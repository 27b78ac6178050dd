"""Rows in, findings out: pure functions that know neither files nor models.

- `digits`: first digits against Benford's law, with two nulls
- `stats`: moments, norms, tails, entropy and hidden grids
- `profile`: σ, kurtosis and digit distance over depth, by role
- `magnitudes`: how the weights spread over powers of two
"""
