"""A census as integers: its bins, what they mean as numbers, and what is inside one."""
