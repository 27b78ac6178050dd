"""A model in, the same function with other digits out; what leaving the law costs."""
