"""A file of a table comes in, a sheet of named columns goes out; one module a form of file."""
