"""JSON and JSON lines: records, columns with data, or a mapping of models; strictly read, with the line of a fault."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kaibo.errors import FormatError
from kaibo.tables.files.sheets import Grid, Hints, Sheet, sheet_of, text_of

EXACT = 1 << 53
"""The first integer whose neighbour no float64 can tell apart."""


class _RefusedError(ValueError):
    """Something that JSON allows or Python reads, and a table must not hold."""


def read_lines(text: str, path: Path, hints: Hints) -> Sheet:
    """JSON lines, one object a line. Raises FormatError with the line, also for a last line that is cut off."""
    records: list[Mapping[str, Any]] = []
    lines: list[int] = []
    # Only these end a line of JSON; NEL and U+2028, which `splitlines` takes for ends, stand inside strings.
    for number, line in enumerate(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), 1):
        if not line.strip():
            continue
        value = parse(line, path, number)
        if not isinstance(value, Mapping):
            raise FormatError(f"line {number}: an object was expected, not {type(value).__name__}", file=path)
        records.append(value)
        lines.append(number)
    return sheet_of(grid_of(records, path, lines), hints)


def parse(text: str, path: Path, first_line: int = 1, lenient: bool = False) -> Any:
    """The value of a JSON text. Refused with the line: duplicate keys, NaN, integers beyond 2^53, deep nesting.

    `lenient` is for documents that a program wrote and of which a part is read: NaN and infinity (which Python
    writes) and long integers are values.
    """
    try:
        if lenient:
            return json.loads(text, parse_int=_any_integer)
        return json.loads(text, object_pairs_hook=_once, parse_constant=_constant, parse_int=_integer)
    except json.JSONDecodeError as error:
        message = f"line {first_line + error.lineno - 1}: {error.msg}"
        torn = error.pos >= len(text.rstrip()) - 1 or error.msg.startswith("Unterminated")
        raise FormatError(
            message + (" where the text ends; it is cut off" if torn else ""), file=path, next="fetch or write it again"
        ) from error
    except _RefusedError as error:
        reason, sought = error.args
        line = first_line + text.count("\n", 0, max(text.rfind(sought), 0))
        raise FormatError(f"line {line}: {reason}", file=path) from error
    except RecursionError as error:
        raise FormatError(f"line {first_line}: nested too deep to be a table", file=path) from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for place, name in enumerate(names) if name in names[:place])
        raise _RefusedError(f'the key "{twice}" stands twice in one object', json.dumps(twice, ensure_ascii=False))
    return record


def _constant(word: str) -> Any:
    raise _RefusedError(f"{word} is not JSON; a missing value is null", word)


def _integer(digits: str) -> int:
    if len(digits) > 15 and abs(int(digits[:400])) > EXACT:
        raise _RefusedError(f"the integer {digits[:40]} is beyond 2^53 and would be rounded", digits[:40])
    return int(digits)


def _any_integer(digits: str) -> int | float:
    return int(digits) if len(digits) < 400 else math.copysign(math.inf, -1 if digits[0] == "-" else 1)


def grid_of_json(value: Any, path: Path) -> Grid:
    """The cells of a JSON document: a list of records, `{columns, data}` (Weights & Biases, pandas "split"),
    columns of equal length, or a mapping from models to their scores.
    """
    if isinstance(value, Mapping) and isinstance(value.get("columns"), list) and isinstance(value.get("data"), list):
        return _split(value["columns"], value["data"], path)
    if isinstance(value, Mapping):
        value = _records_of(value, path)
    if not isinstance(value, list) or not all(isinstance(item, Mapping) for item in value):
        raise FormatError("JSON that is no table: a list of objects was expected, one a model", file=path)
    return grid_of(value, path, range(1, len(value) + 1), "record")


def _records_of(value: Mapping[str, Any], path: Path) -> list[Mapping[str, Any]]:
    parts = list(value.values())
    for key in ("rows", "data", "records", "models", "leaderboard"):
        if isinstance(value.get(key), list):
            return [row.get("row", row) if isinstance(row, Mapping) else row for row in value[key]]
    if parts and all(isinstance(part, Mapping) for part in parts):
        return [{"model": name, **part} for name, part in value.items()]
    if parts and all(isinstance(part, list) and len(part) == len(parts[0]) for part in parts):
        return [dict(zip(value, row, strict=True)) for row in zip(*parts, strict=True)]
    raise FormatError("JSON that is no table: neither records, columns nor models with their scores", file=path)


def _split(columns: list[Any], data: list[Any], path: Path) -> Grid:
    for number, row in enumerate(data, 1):
        if not isinstance(row, list) or len(row) != len(columns):
            raise FormatError(f"record {number}: not the {len(columns)} cells that the columns name", file=path)
    rows = [[text_of(cell) for cell in row] for row in data]
    return Grid(path, tuple(map(str, columns)), rows, range(1, len(rows) + 1), word="record", typed=True)


def grid_of(records: Sequence[Mapping[str, Any]], path: Path, lines: Sequence[int], word: str = "line") -> Grid:
    """Text cells of flat records; nested objects become columns `outer.inner`, absent keys missing cells."""
    flat = [_flat(record, path, line) for record, line in zip(records, lines, strict=True)]
    header = tuple(dict.fromkeys(name for record in flat for name in record))
    return Grid(path, header, [[record.get(name) for name in header] for record in flat], lines, word=word, typed=True)


def _flat(record: Mapping[str, Any], path: Path, line: int, prefix: str = "") -> dict[str, str | None]:
    out: dict[str, str | None] = {}
    for name, value in record.items():
        if isinstance(value, Mapping) and prefix.count(".") < 8:
            out |= _flat(value, path, line, f"{prefix}{name}.")
        elif isinstance(value, Mapping | list):
            out[prefix + name] = json.dumps(value, ensure_ascii=False)[:1000]
        else:
            out[prefix + name] = text_of(value)
    return out


def read_document(value: Any, path: Path, hints: Hints) -> Sheet:
    """The sheet of a parsed JSON document."""
    return sheet_of(grid_of_json(value, path), hints)
