"""Published score tables in, how rows differ by size, by pair and by k out."""
