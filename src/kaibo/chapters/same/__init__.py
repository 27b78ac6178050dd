"""Two models in, whether they hold the same weights, tensor by tensor, out."""
