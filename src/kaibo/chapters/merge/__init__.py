"""Models in, one model out; first where their task vectors are in conflict."""
