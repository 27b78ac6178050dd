"""A score table in, the families to run for knowing the components of all out."""
