"""`kaibo unpack`: the weights that any packing stands for, as a folder that every other program reads."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kaibo.chapters.unpack.rows import UNPACK, UnpackRow
from kaibo.collect.files.outputs import open_output, storage_errors
from kaibo.collect.files.shards import INDEX, shards_of
from kaibo.collect.files.writing import write_shards
from kaibo.desk.measuring import Settings
from kaibo.errors import FormatError, MissingError, UsageError
from kaibo.models import open_model
from kaibo.models.addresses import Target
from kaibo.models.companions import companions
from kaibo.models.derived.merged import Merged
from kaibo.models.formed import Formed
from kaibo.models.opening import target_of
from kaibo.models.packings import packed_as
from kaibo.models.tokenizer_files import tokenizer_inside
from kaibo.store.disk import held
from kaibo.version import __version__
from kaibo.vocabulary import DTYPES, Finding, Model, Tensor
from kaibo.vocabulary.merging import Recipe, Rule

TYPES = {"float32": "F32", "bfloat16": "BF16", "float16": "F16"}

ITSELF = Rule(Recipe("linear"), (1.0,))
"""A model merged with nothing: its own values, rounded once to the type that is written."""


def unpack(
    model: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    dtype: str = "bfloat16",
    shard_bytes: int = 5_000_000_000,
    force: bool = False,
    settings: Settings | None = None,
) -> Finding[UnpackRow]:
    """Writes the effective weights of a model as safetensors under its family's names, with config and tokenizer.

    Each value is decoded as its packing's own package decodes it and rounded once, to nearest, to `dtype` (float32,
    bfloat16, float16). A run that was stopped is taken up where it was. Raises UsageError for another type, FormatError
    where a packing cannot be decoded, StorageError where the folder holds something else or the disk refuses.
    """
    settings = settings or Settings()
    if dtype not in TYPES:
        raise UsageError(f'--dtype must be one of {", ".join(TYPES)}, got "{dtype}"')
    opened = open_model(model, trust_shards=settings.trust_shards)
    if opened.undecoded:
        message = f"holds about {opened.undecoded} weights in a packing that is not decoded"
        raise FormatError(message, file=opened.address)
    target = target_of(opened.address)
    if os.path.realpath(out) == target.root:
        raise UsageError("is the model's own folder", file=Path(out), next="choose another --out")
    tensors = [_plain(tensor, opened, TYPES[dtype]) for tensor in opened.tensors]
    shards = shards_of(tensors, shard_bytes, {"format": "pt", "kaibo": f"unpack {__version__}"})
    small = dict(_small(opened, dtype))
    options = settings.forming()
    with storage_errors(Path(out)), held(Path(out)):
        names = [*small, *(shard.name for shard in shards), *([INDEX] if len(shards) > 1 else [])]
        output = open_output(Path(out), _key(tensors, dtype), names, force=force)
        for file, data in small.items():
            output.put(file, data)
        written = write_shards(shards, output, options)
    row = UnpackRow(
        model=opened.address,
        out=os.fspath(out),
        dtype=dtype,
        tensors=len(tensors),
        decoded=sum(packed_as(tensor) is not None for tensor in opened.tensors),
        values=sum(tensor.size for tensor in tensors),
        files=written.written + written.kept,
        bytes=written.bytes,
        tokenizer=any(name.startswith(("tokenizer.", "vocab.")) for name in small),
    )
    return Finding(UNPACK, (row,), opened.notes)


def _plain(tensor: Tensor, model: Model, dtype: str) -> Tensor:
    """The tensor in the type that is written, under the name that the family's own files give it."""
    name = model.names.get(tensor.name, tensor.name)
    values: Any = tensor
    if tensor.dtype.measurable:
        values = Merged(tensor, (), ITSELF, DTYPES[dtype])
        kind, key = DTYPES[dtype], None if tensor.source_key is None else f"unpack {dtype}|{tensor.source_key}"
    else:
        kind, key = tensor.dtype, tensor.source_key
    return Formed(name, tensor.canonical, kind, tensor.shape, tensor.layer, tensor.role, key, values)


def _key(tensors: list[Tensor], dtype: str) -> str:
    """What a stopped run is known by; random where a source cannot be named."""
    import hashlib

    keys = [f"{tensor.name}|{tensor.source_key}" for tensor in tensors if tensor.source_key is not None]
    if len(keys) < len(tensors):
        return os.urandom(16).hex()
    return hashlib.sha256("\n".join([dtype, *keys]).encode("utf-8", "surrogateescape")).hexdigest()


def _small(model: Model, dtype: str) -> Iterator[tuple[str, bytes]]:
    """Config, tokenizer and template: those of the folder, or those that the file itself carries."""
    found = dict(companions(model.address, dtype))
    config = {key: value for key, value in model.config.items() if key not in ("quantization_config", "quantization")}
    if config:
        key = "torch_dtype" if "torch_dtype" in config else "dtype"
        found["config.json"] = _json({**config, key: dtype})
    found |= _carried(target_of(model.address), model.documents)
    yield from found.items()


def _carried(target: Target, documents: Mapping[str, Any]) -> Iterator[tuple[str, bytes]]:
    try:
        text = tokenizer_inside(target)
    except MissingError:  # one that is not rebuilt: weights without a tokenizer are still weights
        return
    if text is None:
        return
    yield "tokenizer.json", text.encode("utf-8", "surrogateescape")
    said = documents.get("tokenizer_config.json", {})
    yield "tokenizer_config.json", _json({"tokenizer_class": "PreTrainedTokenizerFast", **said})
    template = documents.get("chat_template")
    if isinstance(template, str):
        yield "chat_template.jinja", template.encode("utf-8", "surrogateescape")


def _json(document: Mapping[str, Any]) -> bytes:
    return json.dumps(dict(document), indent=2, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n"
