"""What lm-evaluation-harness writes: which model, which step, which task, and the newest of each."""
