"""Several checkpoints in, one decoding of all of them out; which tokens get worse with size."""
