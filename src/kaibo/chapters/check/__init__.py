"""A model in, one verdict and what is wrong with it out."""
