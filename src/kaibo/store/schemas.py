"""The tables of a store, as data.

A change of columns raises the version; parts of an older version are read (columns they lack are null), parts
of a newer one are refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from kaibo.errors import UsageError
from kaibo.store.schema import Schema

CENSUS_VERSION = 1
"""Raised when the census of the same bytes would come out different; older rows are then measured again."""

JOINT_VERSION = 2
"""The same for joint sums, those of task vectors and of signs."""

TOKEN_LOG_VERSION = 2
"""The same for the scores of tokens."""

SPECTRUM_VERSION = 2
"""The same for singular values."""


SOURCES = Schema(
    "sources",
    version=1,
    key="source_key",
    identity=("source_key",),
    columns={"source_key": "string", "content": "string"},
)

CENSUS = Schema(
    "census",
    version=1,
    key="content",
    identity=("content", "measure", "version", "settings"),
    columns={
        "content": "string",
        "measure": "string",
        "version": "int32",
        "settings": "string",
        "dtype": "string",
        "n": "int64",
        "keys": "list<uint32>",
        "counts": "list<uint64>",
        "lo": "list<uint64>",
        "lo2_high": "list<uint64>",
        "lo2_low": "list<uint64>",
        "minimum": "double",
        "maximum": "double",
        "nan": "int64",
        "positive_infinity": "int64",
        "negative_infinity": "int64",
        "digits64": "list<int64>",
    },
    delta=("keys", "counts", "lo", "lo2_high", "lo2_low"),
    rows_per_group=64,  # a few megabytes: one tensor can be read without the rest of its part
)

JOINT = Schema(
    "joint",
    version=1,
    key="content",
    identity=("content", "version"),
    columns={
        "content": "string",
        "version": "int32",
        "base": "string",
        "tuned": "string",
        "n": "int64",
        "finite": "int64",
        "dot": "double",
        "base_square": "double",
        "tuned_square": "double",
        "changed": "int64",
        "one_ulp": "int64",
        "same_sign": "int64",
        "flipped": "int64",
        "rounding": "double",
        "rounding_square": "double",
    },
)
"""Joint sums of two tensors; `base` and `tuned` are their contents, `content` that of the pair, under which the
table `census` has the census of their difference."""

VECTORS = Schema(
    "vectors",
    version=1,
    key="content",
    identity=("content", "version"),
    columns={
        "content": "string",
        "version": "int32",
        "base": "string",
        "a": "string",
        "b": "string",
        "n": "int64",
        "finite": "int64",
        "dot": "double",
        "a_square": "double",
        "b_square": "double",
        "same_sign": "int64",
        "opposite": "int64",
        "absolute": "double",
        "square": "double",
    },
)
"""Sums of two task vectors of one base; `base`, `a` and `b` are contents, a before b."""

SIGNS = Schema(
    "signs",
    version=1,
    key="content",
    identity=("content", "version"),
    columns={
        "content": "string",
        "version": "int32",
        "base": "string",
        "tuned": "string",
        "n": "int64",
        "moved": "int64",
        "conflicting": "int64",
    },
)
"""Signs of several task vectors by position; `tuned` are the contents of the models, sorted, a space between."""

SPECTRA = Schema(
    "spectra",
    version=2,
    key="content",
    identity=("content", "part", "version", "settings"),
    conflict="newest",  # the last bits are the linear algebra library's
    columns={
        "content": "string",
        "part": "int32",
        "version": "int32",
        "settings": "string",
        "matrix_rows": "int64",
        "matrix_columns": "int64",
        "method": "string",
        "sigma": "list<double>",
        "error": "double",
        "square": "double",
        "nonfinite": "int64",
        "residual": "double",
    },
    rows_per_group=64,
)
"""Singular values of matrices, descending; `part` is the expert in a stack, `content` that of the tensor or pair."""

RESOLVED = Schema(
    "resolved",
    version=1,
    key="content",
    identity=("content", "upper"),
    columns={"content": "string", "upper": "int32", "lows": "list<uint32>", "counts": "list<uint64>"},
    delta=("lows", "counts"),
    rows_per_group=64,
)
"""The inside of a bin of a difference, value by value: what makes the threshold of a top n % exact."""

MODELS = Schema(
    "models",
    version=1,
    key="model_id",
    identity=("model_id", "model", "tensor"),
    conflict="newest",  # a newer kaibo may know a tensor's role better
    columns={
        "model": "string",
        "model_id": "string",
        "name": "string",
        "family": "string",
        "tensor": "string",
        "layer": "int32",
        "role": "string",
        "dtype": "string",
        "shape": "list<int64>",
        "n": "int64",
        "content": "string",
        "kaibo": "string",
    },
)

FAILURES = Schema(
    "failures",
    version=1,
    key="model",
    identity=("model", "tensor", "kind", "message"),
    columns={"model": "string", "tensor": "string", "kind": "string", "message": "string"},
)

SCORES = Schema(
    "scores",
    version=1,
    key="source",
    identity=("source", "model", "checkpoint", "benchmark", "metric", "n_shot"),
    conflict="newest",  # a table that is read again with other hints says it better
    columns={
        "model": "string",
        "checkpoint": "int64",
        "benchmark": "string",
        "metric": "string",
        "value": "double",
        "stderr": "double",
        "n_shot": "int32",
        "unit": "string",
        "source": "string",
        "original": "string",
    },
)

RUNS = Schema(
    "runs",
    version=1,
    key="fingerprint",
    identity=("fingerprint", "out"),
    conflict="newest",  # a run that was made again, or merged later
    columns={
        "run": "string",
        "out": "string",
        "kind": "string",
        "base": "string",
        "method": "string",
        "seed": "int64",
        "learning_rate": "double",
        "data": "string",
        "rows": "int64",
        "steps": "int64",
        "loss_first": "double",
        "loss_last": "double",
        "tokens": "int64",
        "seconds": "double",
        "fingerprint": "string",
        "kaibo": "string",
    },
)
"""Models that recipes made; `out` is a path, `fingerprint` what went into the run."""

TOKEN_LOG = Schema(
    "token_log",
    version=2,
    key="log",
    identity=("log", "version", "item", "branch", "position"),
    columns={
        "log": "string",
        "version": "int32",
        "model_id": "string",
        "function_id": "string",
        "tokenizer_hash": "string",
        "text_hash": "string",
        "settings_hash": "string",
        "document": "string",
        "item": "int32",
        "branch": "int32",
        "window": "int32",
        "position": "int64",
        "token_id": "int32",
        "char_begin": "int64",
        "char_end": "int64",
        "byte_begin": "int64",
        "byte_end": "int64",
        "nats": "float32",
        "context_length": "int32",
    },
)
"""What models thought of each token; `log` is the hash of the five columns of hashes, `function_id` names what the
model does (rows of version 1 lack it and are not used), nats are null where a token
was not scored, item and branch where a text has no questions."""

VERDICTS = Schema(
    "verdicts",
    version=1,
    key="problem",
    identity=("problem", "code", "version", "settings"),
    conflict="newest",  # a limit of time may fall otherwise on another day
    columns={
        "problem": "string",
        "code": "string",
        "version": "int32",
        "settings": "string",
        "sandbox": "string",
        "verdict": "string",
        "why": "string",
        "seconds": "double",
        "kaibo": "string",
    },
)
"""What became of samples; `problem` and `code` are hashes, `settings` the walls and limits behind which they ran."""

SAMPLES = Schema(
    "samples",
    version=1,
    key="generation",
    identity=("generation", "number"),
    conflict="newest",  # the last bits of a logit are the machine's, and a draw may turn on them
    columns={
        "generation": "string",
        "number": "int32",
        "function_id": "string",
        "problem": "string",
        "text": "string",
        "ended": "string",
        "tokens": "int32",
        "kaibo": "string",
    },
)
"""What models wrote for a problem; `generation` is the hash of all that decides it, `number` which draw it is."""

ALL = (
    SOURCES,
    CENSUS,
    JOINT,
    VECTORS,
    SIGNS,
    RESOLVED,
    SPECTRA,
    MODELS,
    FAILURES,
    SCORES,
    TOKEN_LOG,
    RUNS,
    VERDICTS,
    SAMPLES,
)

VERSIONS: Mapping[str, int] = MappingProxyType(
    {
        CENSUS.name: CENSUS_VERSION,
        JOINT.name: JOINT_VERSION,
        VECTORS.name: JOINT_VERSION,
        SIGNS.name: JOINT_VERSION,
        SPECTRA.name: SPECTRUM_VERSION,
        TOKEN_LOG.name: TOKEN_LOG_VERSION,
    }
)
"""The version of the measurements that each table keeps; rows of another are not used."""

SCHEMAS: Mapping[str, Schema] = MappingProxyType({schema.name: schema for schema in ALL})
"""Every table, by name. A later room adds its own here."""


def schema_of(table: str) -> Schema:
    """The schema of a table. Raises UsageError for a name that no room registered."""
    try:
        return SCHEMAS[table]
    except KeyError:
        raise UsageError(f"the store has no table {table}; it has {', '.join(SCHEMAS)}") from None
