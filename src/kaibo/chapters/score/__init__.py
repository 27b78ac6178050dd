"""Texts under models in, perplexity with its interval out."""
