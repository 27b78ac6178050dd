"""kaibo takes open language models apart."""

__version__ = "0.1.0"
