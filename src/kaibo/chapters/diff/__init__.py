"""What changed: a base and models made from it in, norms, trims, conflicts and distances out."""
