"""The loops: supervised fine-tuning and preferences through TRL, pre-training in one of our own."""
