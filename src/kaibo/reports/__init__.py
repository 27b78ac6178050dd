"""Findings and figures to read: on a terminal, on one HTML page, as CSV, Markdown and LaTeX, and the files they become.

- `terminal`: compact tables, and the summary of a dissection
- `page`: one self-contained HTML page
- `tables`: any finding as CSV, Markdown or LaTeX
- `facts`: what a model is, in short facts; names without folders
- `provenance`, `writing`: the mark of every file, and the folder that is written all or nothing
"""
