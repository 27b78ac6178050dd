"""An address comes in; a model, wherever it lives, goes out as a stream of named tensors."""

from kaibo.models.opening import Description, open_description, open_model

__all__ = ["Description", "open_description", "open_model"]
