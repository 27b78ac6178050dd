"""A score table in, its principal components with their uncertainty out."""
