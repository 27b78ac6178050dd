"""A model in, how far it reads out."""
