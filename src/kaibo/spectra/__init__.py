"""A matrix comes in as a stream of chunks; its singular values, with how well they are known, go out."""

from kaibo.spectra.matrices import Matrix, matrices_of
from kaibo.spectra.spectrum import SETTINGS, memory_of, one_blas_thread, spectrum_of

__all__ = ["SETTINGS", "Matrix", "matrices_of", "memory_of", "one_blas_thread", "spectrum_of"]
