"""A tuned model in, whether it still answers, stops and stays in its language out."""
