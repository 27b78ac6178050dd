"""A config.json of either form as the numbers of a LLaMA, and the way back."""
