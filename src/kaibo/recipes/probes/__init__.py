"""What a trained model writes: prompts in, answers out, judged by rules that can be counted."""
