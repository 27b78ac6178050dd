"""The speed and memory figures of the README, each beside a peer in the same run."""
