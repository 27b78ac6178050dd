"""A published question in, its claims judged out."""
