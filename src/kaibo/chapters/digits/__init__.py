"""First digits: measured rows in, their distance from Benford's law out, beside two nulls."""
