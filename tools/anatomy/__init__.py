"""Transformers' own classes in, anatomies and their proofs out: a developer's tool, never imported by kaibo.

- `building`: a class of transformers on the meta device, at chosen sizes: names, shapes, and what its config became
- `exploring`: one change of the config at a time, and what it does
- `solving`: each dimension as a formula of config fields
- `conditions`: when a tensor is there, and in which layers
- `roles`: what a tensor is for, from its name
- `caching`: what transformers' cache holds after a forward pass
- `writing`: the TOML of a family
- `proving`: the proof beside it
- `units`: which classes there are, causal and of several parts
"""
