"""Small files from strangers, as checked values: JSON, JSON lines, TOML, YAML, plain text, templates.

`reading` opens (regular files only, a limit of size for each kind), `json_text`, `toml_text` and `yaml_text` parse,
`fields` checks against a dataclass, `templates` renders in a bounded child. Every fault is one of kaibo's own errors.
"""
