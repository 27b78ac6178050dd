"""Tables of scores that sources printed, as data: one CSV a table, `sources.toml` says where each is from."""
