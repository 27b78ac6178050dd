"""Compiled kernels and where they are kept; the census was their first user."""

from kaibo.vocabulary.compiling import cache_folder, compiled

__all__ = ["cache_folder", "compiled"]
