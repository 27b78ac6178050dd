"""Token logs of a run in, which tokens are learned, finished or forgotten out."""
