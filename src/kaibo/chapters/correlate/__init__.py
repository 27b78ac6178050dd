"""Two measurements of the same models in, how far they go together out."""
