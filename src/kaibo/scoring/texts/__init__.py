"""Texts as tokens: read exactly, cut into windows, corrupted on purpose."""
