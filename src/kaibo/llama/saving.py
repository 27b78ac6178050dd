"""A model as a Hugging Face folder: config, safetensors, tokenizer; each file whole under its name, or not there."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from kaibo.errors import StorageError
from kaibo.llama.config.config_json import write_config
from kaibo.llama.config.names import parts
from kaibo.llama.loading import dtype_named
from kaibo.llama.model import Llama

SHARD_BYTES = 5_000_000_000


def save_llama(
    model: Llama,
    folder: str | os.PathLike[str],
    *,
    dtype: str | None = None,
    tokenizer_files: Sequence[str | os.PathLike[str]] = (),
    shard_bytes: int = SHARD_BYTES,
) -> Path:
    """Writes `config.json`, the weights and copies of the tokenizer's files; the folder.

    `dtype` is `float32`, `bfloat16` or `float16` (default: the model's). Larger than `shard_bytes`, the weights are
    several files with an index. Raises StorageError where the disk is full or may not be written.
    """
    kept = next(model.parameters()).dtype if dtype is None else dtype_named(dtype)
    place = Path(folder)
    with _storage_errors(place):
        place.mkdir(parents=True, exist_ok=True)
        for file in tokenizer_files:
            with _finished(place / Path(file).name) as temporary:
                shutil.copyfile(file, temporary)
        _save_weights(model, place, kept, shard_bytes)
        name = str(kept).removeprefix("torch.")
        _save_json(place / "config.json", {**write_config(model.config), "torch_dtype": name, "dtype": name})
    return place


def folder_tensors(model: Llama, dtype: torch.dtype | None = None) -> Iterator[tuple[str, torch.Tensor]]:
    """Every tensor under its name in a folder, on the CPU, one at a time."""
    parameters = dict(model.named_parameters())
    for part in parts(model.config):
        rows = parameters[part.parameter].detach()[part.begin : part.end]
        yield part.name, rows.to("cpu", dtype or rows.dtype).contiguous()


def _save_weights(model: Llama, folder: Path, dtype: torch.dtype, limit: int) -> None:
    shards = _shards(model, dtype, limit)
    held = dict.fromkeys(name for names in shards for name in names)
    files = ["model.safetensors"]
    if len(shards) > 1:
        files = [f"model-{place + 1:05d}-of-{len(shards):05d}.safetensors" for place in range(len(shards))]
    tensors = folder_tensors(model, dtype)
    total = 0
    for file, names in zip(files, shards, strict=True):
        shard = dict(next(tensors) for _ in names)
        total += sum(tensor.nbytes for tensor in shard.values())
        held |= dict.fromkeys(names, file)
        with _finished(folder / file) as temporary:
            save_file(shard, temporary, {"format": "pt"})
    index = folder / "model.safetensors.index.json"
    if len(shards) > 1:
        _save_json(index, {"metadata": {"total_size": total}, "weight_map": held})
    for old in folder.glob("model*.safetensors*"):  # of a model that was here before: an index beside one file misleads
        if old.name not in files and not (old == index and len(shards) > 1):
            old.unlink()


def _shards(model: Llama, dtype: torch.dtype, limit: int) -> list[list[str]]:
    """Names of the tensors of each file, in order, no file above `limit` bytes unless one tensor is."""
    shards: list[list[str]] = [[]]
    size = 0
    for part in parts(model.config):
        count = dtype.itemsize
        for length in part.shape:
            count *= length
        if shards[-1] and size + count > limit:
            shards.append([])
            size = 0
        shards[-1].append(part.name)
        size += count
    return shards


def _save_json(path: Path, value: Mapping[str, Any]) -> None:
    with _finished(path) as temporary:
        Path(temporary).write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


@contextmanager
def _finished(path: Path) -> Iterator[str]:
    """A temporary name beside `path`; what was written there is synced and takes the name, or is taken away."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield str(temporary)
        descriptor = os.open(temporary, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


@contextmanager
def _storage_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except SafetensorError as problem:  # its own words around the system's: "I/O error: No space left on device"
        raise StorageError(f"the weights cannot be written ({problem})", file=folder, next="free some space") from None
    except OSError as problem:
        reason = os.strerror(problem.errno) if problem.errno else str(problem)
        full = problem.errno in (errno.ENOSPC, errno.EDQUOT)
        advice = "free some space" if full else "name another folder"
        raise StorageError(f"cannot be written: {reason}", file=folder, next=advice) from problem
