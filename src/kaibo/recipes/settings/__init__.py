"""What a recipe may say, the recipes that are shipped, and one file that stands for many runs."""
