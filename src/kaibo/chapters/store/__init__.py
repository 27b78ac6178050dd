"""What the store keeps: listed, verified, compacted, removed."""
