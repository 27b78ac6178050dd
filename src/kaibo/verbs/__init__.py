"""One function per command: open, collect, analyse, hand back a finding.

Each takes addresses (or a single one) and plain options, asks the store first, and returns a `Finding`. With
`on_error` given, a model that cannot be read is handed to it and the others go on; without it the error is raised.

- `inspect`: what a model is, without reading weights
- `census`: every value counted, once
- `digits`, `stats`: what the census answers
- `dissect`: all of it on one page
- `sql`, `doctor`: the store asked directly, the installation checked

Nothing is imported here: a command loads its own verb and no other's libraries.
"""
