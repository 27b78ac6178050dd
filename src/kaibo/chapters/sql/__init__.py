"""A question in SQL in, rows of the store out."""
