"""Tasks in, accuracies with intervals and paired comparisons out."""
