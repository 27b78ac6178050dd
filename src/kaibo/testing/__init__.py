"""Tiny models, and the laws that a new part must pass."""
