"""A text with random words in, perplexity beside the floor of an ideal model out."""
