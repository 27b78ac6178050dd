"""The checkpoints of a run in, an audit and their course out."""
