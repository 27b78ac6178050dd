"""One model in, all chapters about it on one page out."""
