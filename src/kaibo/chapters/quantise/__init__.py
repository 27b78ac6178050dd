"""A model in, what 8 and 4 bit save and cost out."""
