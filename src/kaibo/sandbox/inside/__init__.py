"""What runs inside the walls: programs of the standard library alone, sent in as code and started by `boxed`."""
