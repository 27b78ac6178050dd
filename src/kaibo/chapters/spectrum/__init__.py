"""Singular values in, effective ranks and the tails of their distribution out."""
