"""What a model is, from its config and headers alone; several models side by side."""
