"""Scores along training in, what goes with them (perplexity, FLOPs, size) out."""
