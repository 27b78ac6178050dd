"""Markdown: the first pipe table of a page (or the n-th, `--sheet 2`)."""

from __future__ import annotations

from pathlib import Path

from kaibo.errors import FormatError, UsageError
from kaibo.tables.files.sheets import Grid, Hints, Sheet, sheet_of
from kaibo.tables.names import without_links


def read_markdown(text: str, path: Path, hints: Hints) -> Sheet:
    """The sheet of a pipe table. Raises FormatError with the line for a row with too many or too few cells."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    heads = [number for number in range(1, len(lines)) if "|" in lines[number - 1] and _is_rule(lines[number])]
    if not heads:
        raise FormatError("no pipe table in the page", file=path)
    wanted = int(hints.sheet) if hints.sheet and hints.sheet.isdigit() else 1
    if not 1 <= wanted <= len(heads):
        raise UsageError(f"{path} has {len(heads)} tables", next="--sheet 1 is the first")
    notes = (f"read table {wanted} of {len(heads)}",) if len(heads) > 1 else ()
    return sheet_of(_grid(lines, heads[wanted - 1], path, notes), hints)


def _grid(lines: list[str], rule: int, path: Path, notes: tuple[str, ...]) -> Grid:
    header = _cells(lines[rule - 1])
    rows: list[list[str]] = []
    numbers: list[int] = []
    for number in range(rule + 1, len(lines)):
        if "|" not in lines[number]:
            break
        row = _cells(lines[number])
        if len(row) != len(header):
            raise FormatError(f"line {number + 1}: {len(row)} cells where the header has {len(header)}", file=path)
        rows.append(row)
        numbers.append(number + 1)
    return Grid(path, tuple(header), rows, numbers, notes)


def _cells(line: str) -> list[str]:
    inside = line.strip().removeprefix("|")
    inside = inside[:-1] if inside.endswith("|") and not inside.endswith("\\|") else inside
    parts = inside.replace("\\|", "\0").split("|")  # a NUL cannot stand in a page that is text
    return [without_links(part.replace("\0", "|")).strip().strip("*`") for part in parts]


def _is_rule(line: str) -> bool:
    """Whether a line is the rule under a header: cells of dashes, colons at their ends for the alignment."""
    if "|" not in line:
        return False
    cells = [cell.strip() for cell in line.strip().removeprefix("|").removesuffix("|").split("|")]
    return all(cell.removeprefix(":").removesuffix(":").strip("-") == "" and "-" in cell for cell in cells)
