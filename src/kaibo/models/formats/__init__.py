"""Bytes of a place come in; named, typed and checked tensors go out. One module a format."""
