"""Files that a long run writes: the folder, the layout, and the threads that fill it."""
