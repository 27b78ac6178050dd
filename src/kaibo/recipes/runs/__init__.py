"""A run through its life: its folder and account, what it starts from, what is watched, and how it is taken up."""
