"""Rows that are measured and findings that are computed from them."""

from __future__ import annotations

import dataclasses
import html
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, Protocol

from kaibo.errors import escaped, missing_extra
from kaibo.vocabulary.kinds import Kind, R
from kaibo.words import Note

if TYPE_CHECKING:
    import pandas as pd

    from kaibo.vocabulary.counts.census import Census

By = Literal["model", "layer", "role", "tensor"]
LEVELS: tuple[By, ...] = ("model", "layer", "role", "tensor")


BUFFER = "buffer"
"""The role of masks and frequency tables: stored as floats, but no weights that anybody trained."""


@dataclass(frozen=True)
class Row:
    """One tensor of one model, measured: where it stands in the model, and its census.

    `model` is the address as given, `model_id` the hash of the model's content, `tensor` the canonical name.
    `content` is the tensor's content hash (32 hex digits). `census` is None for what is not weights.
    """

    model: str
    model_id: str
    tensor: str
    layer: int | None
    role: str
    dtype: str
    shape: tuple[int, ...]
    content: str
    census: Census | None

    @property
    def n(self) -> int:
        """Number of values."""
        return math.prod(self.shape)


class Record(Protocol):
    """A frozen dataclass whose fields are the columns of a finding."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


@dataclass(frozen=True)
class Finding(Generic[R]):
    """A computed result: a kind, rows of one record type, and where they came from.

    `kind` says what it is: its columns, its drawings. `rows` are frozen dataclasses, their fields the columns, named as
    the command's JSON names them. `notes` are plain sentences about bounds and limits. `provenance` says which
    models (address, model_id) and which version of kaibo made it.

    It shows itself as a table in a notebook, gives `.frame()` and `.to_json()`, and `kaibo.figure` draws it.
    """

    kind: Kind[R]
    rows: tuple[R, ...]
    notes: tuple[Note, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __iter__(self) -> Iterator[R]:
        """The rows in order."""
        return iter(self.rows)

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self.rows)

    def records(self) -> list[dict[str, Any]]:
        """The rows as plain dictionaries for JSON: what is not finite is null, with a `why` beside it."""
        return [plain(row) for row in self.rows]

    def to_json(self) -> str:
        """The finding as one JSON document."""
        document = {
            "kind": str(self.kind),
            "results": self.records(),
            "notes": self.notes,
            "provenance": self.provenance,
        }
        return json.dumps(document, ensure_ascii=False, allow_nan=False)

    def frame(self) -> pd.DataFrame:
        """The rows as a pandas frame, a column a field. Raises MissingError without the extra `frames`."""
        try:
            import pandas as pd
        except ImportError as error:
            raise missing_extra("frames", "frames") from error
        return pd.DataFrame([dataclasses.asdict(row) for row in self.rows])

    def _repr_html_(self) -> str:
        columns = [column.name for column in dataclasses.fields(self.rows[0])] if self.rows else []
        head = "".join(f"<th>{html.escape(name)}</th>" for name in columns)
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(shown(getattr(row, name)))}</td>" for name in columns) + "</tr>"
            for row in self.rows
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def plain(row: Record) -> dict[str, Any]:
    """A record as a dictionary that JSON can hold: NaN and infinity become null, with the reason under `why`."""
    record = {f.name: getattr(row, f.name) for f in dataclasses.fields(row)}
    why = dict(record.pop("why", None) or {})
    return with_reasons(record, why)


def with_reasons(record: Mapping[str, Any], why: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Values as JSON can hold them; what is not finite is null, and `why` says so where nothing said it yet.

    >>> with_reasons({"a": float("nan"), "b": 1})
    {'a': None, 'b': 1, 'why': {'a': 'not a number'}}
    """
    reasons = dict(why or {})
    for name, value in record.items():
        if isinstance(value, float) and not math.isfinite(value):
            reasons.setdefault(name, "not a number" if math.isnan(value) else "infinite")
    out = {name: jsonable(value) for name, value in record.items()}
    return {**out, "why": reasons} if reasons else out


def jsonable(value: Any) -> Any:
    """A value of a record as JSON holds it: nested records and tuples opened, what is not finite null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return plain(value)
    if isinstance(value, Mapping):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [jsonable(item) for item in value]
    return value


def shown(value: object) -> str:
    """A value as a table cell shows it: four significant digits, `-` for what is missing.

    >>> shown(0.0181234), shown(None), shown(1234567), shown((0.30103, 0.17609))
    ('0.01812', '-', '1,234,567', '0.301 0.1761')
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, tuple | list):
        return " ".join(shown(item) for item in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {shown(item)}" for key, item in value.items())
    return escaped(value)
