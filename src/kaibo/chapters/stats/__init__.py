"""Moments, norms, tails, entropy, hidden grids and profiles over depth, from the census."""
