"""Tokenizers: trained on the spot, taken further, and the rows of a model that new tokens need."""
