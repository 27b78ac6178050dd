"""A prompt in, text out; what prompt formats other than its own cost a chat model."""
