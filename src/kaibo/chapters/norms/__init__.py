"""Reported norms in, whether one vector can have them out."""
