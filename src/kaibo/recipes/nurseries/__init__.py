"""Families of small models: which runs they take, the texts they read, and the list of what was made."""
