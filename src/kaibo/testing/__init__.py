"""Tiny models that can be read by eye, and large ones that are cheap to write: what tests and benchmarks need."""

from kaibo.testing.adapters import tiny_adapter
from kaibo.testing.models import sparse_model, tiny_model, write_llama, write_safetensors

__all__ = ["sparse_model", "tiny_adapter", "tiny_model", "write_llama", "write_safetensors"]
