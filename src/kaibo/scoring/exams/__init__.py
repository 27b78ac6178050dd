"""Tasks as questions: prompts, the tree of what they share, answers by probability or written out."""
