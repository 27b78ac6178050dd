"""The version that stands in every row."""

__version__ = "0.2.0"
