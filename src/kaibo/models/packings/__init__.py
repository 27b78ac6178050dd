"""Tensors as stored come in; packed weights, decoded block by block while they are read, go out."""
