"""Whether code that a model wrote does what it was asked: samples and problems come in, pass@k goes out."""
