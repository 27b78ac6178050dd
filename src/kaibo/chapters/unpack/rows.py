"""What its finding is; field names are the names that `--json` prints."""

from __future__ import annotations

from dataclasses import dataclass

from kaibo.vocabulary.kinds import Kind


@dataclass(frozen=True)
class UnpackRow:
    """A model that was written out: `tensors` of `values` in all, stored as `dtype`, in `files` of `bytes`.

    `decoded` is how many of the tensors were packed. `tokenizer` says whether one was written beside the weights.
    """

    model: str
    out: str
    dtype: str
    tensors: int
    decoded: int
    values: int
    files: int
    bytes: int
    tokenizer: bool


UNPACK = Kind(
    "unpack",
    UnpackRow,
    __package__,
    columns=("model", "out", "dtype", "tensors", "decoded", "values", "files", "bytes", "tokenizer"),
)
