"""Leaderboards and results in any common form in, one tidy table out."""
