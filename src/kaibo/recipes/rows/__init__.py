"""Rows to learn from: files and folders in, conversations and batches out."""
