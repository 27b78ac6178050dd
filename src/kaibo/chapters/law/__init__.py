"""Sizes, FLOPs or components in, a law that predicts a score out."""
