"""The columns of a finding that people read, as Markdown and as LaTeX; nothing in a name becomes markup."""

from __future__ import annotations

import re
from typing import Any

from kaibo.reports.tables import numeric, read, spoken
from kaibo.vocabulary import Finding
from kaibo.words import heading


def to_markdown(finding: Finding[Any], language: str = "en") -> str:
    """The columns that people read as a Markdown table; nothing in a name becomes markup."""
    table = read(finding)
    head = [_markdown(heading(name, language)) for name in table.columns]
    rule = ["---:" if numeric(table, place) else "---" for place in range(len(head))]
    body = [[_markdown(text) for text in spoken(table, row, language)] for row in table.rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in [head, rule, *body])


def _markdown(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]<>|#~$!&])", r"\\\1", text)


LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "σ": r"$\sigma$",
    "±": r"$\pm$",
    "−": r"$-$",
    "∞": r"$\infty$",
    "…": r"\ldots{}",
    **{character: f"\\{character}" for character in "{}$&#_%"},
}


def to_latex(finding: Finding[Any], language: str = "en") -> str:
    """The columns that people read as a LaTeX `tabular` (booktabs); Japanese wants LuaLaTeX or XeLaTeX."""
    table = read(finding)
    columns = "".join("r" if numeric(table, place) else "l" for place in range(len(table.columns)))
    lines = [" & ".join(_latex(heading(name, language)) for name in table.columns)]
    lines += [" & ".join(_latex(text) for text in spoken(table, row, language)) for row in table.rows]
    head, *body = (f"{line} \\\\\n" for line in lines)
    return (
        f"\\begin{{tabular}}{{{columns}}}\n\\toprule\n{head}\\midrule\n{''.join(body)}\\bottomrule\n\\end{{tabular}}\n"
    )


def _latex(text: str) -> str:
    return "".join(LATEX.get(character, character) for character in text)
