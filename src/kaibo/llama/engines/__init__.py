"""Models that run: the reference where the shape is its own, transformers where it is not."""
