"""Work that takes long: how many workers, how far it is, and how it stops."""
