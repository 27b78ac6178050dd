"""Fine-tunes of several methods, data sets and seeds in, what differs between them out."""
