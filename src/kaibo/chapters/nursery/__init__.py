"""Nothing but a seed in, a family of small models made on this machine out."""
