"""Findings and figures to read: on a terminal, on one HTML page, as CSV, Markdown and LaTeX, and the files they become.

- `terminal`: compact tables, and the summary of a dissection
- `page`: one self-contained HTML page
- `tables`: any finding as CSV, Markdown or LaTeX
- `facts`: what a model is, in short facts; names without folders
- `provenance`, `writing`: the mark of every file, and the folder that is written all or nothing
"""

from kaibo.reports.facts import facts
from kaibo.reports.markup import to_latex, to_markdown
from kaibo.reports.page import Section, differences_section, facts_section, page, section, sentences_section
from kaibo.reports.provenance import Mark
from kaibo.reports.tables import to_csv
from kaibo.reports.terminal import console, show, show_dissection
from kaibo.reports.writing import write_output

__all__ = [
    "Mark",
    "Section",
    "console",
    "differences_section",
    "facts",
    "facts_section",
    "page",
    "section",
    "sentences_section",
    "show",
    "show_dissection",
    "to_csv",
    "to_latex",
    "to_markdown",
    "write_output",
]
