"""From a folder to a model: the config checked field by field, the tensors name by name, the bytes read in strictly."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

import numpy as np
import torch

from kaibo.errors import FormatError, UsageError
from kaibo.llama.config.config import LlamaConfig, with_rope
from kaibo.llama.config.config_json import read_config
from kaibo.llama.config.names import Part, parts
from kaibo.llama.model import Llama
from kaibo.models import open_model
from kaibo.vocabulary import Model, Tensor

TYPES: Mapping[str, torch.dtype] = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
}
"""Element types that weights may be stored in."""

NAMED: Mapping[str, torch.dtype] = {
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}
"""Types that a model can be asked to compute in."""

FILL_BYTES = 4 << 20
"""Bytes of a tensor that are read at a time: a second copy of the largest one is never in memory."""

_LEFT_OUT = re.compile(r"(model\.layers\.\d+\.self_attn\.)rotary_emb\.inv_freq")  # a table old folders carry along


def dtype_named(name: str) -> torch.dtype:
    """The type of a name. Raises UsageError for one that models do not compute in."""
    if name not in NAMED:
        raise UsageError(f'models do not compute in "{name}"', next=f"types: {', '.join(NAMED)}")
    return NAMED[name]


def load_llama(
    address: str | os.PathLike[str] | Model,
    *,
    dtype: str | None = None,
    device: str = "cpu",
    rope: str | None = None,
) -> Llama:
    """The reference with the weights of a folder, in evaluation mode.

    `dtype` is `float32`, `bfloat16` or `float16` (default: as stored); `rope` scales the positions as `--rope` does.
    Raises FormatError for an architecture that is not LLaMA's, for missing, extra and misshapen tensors (by name),
    and whatever opening the folder raises.
    """
    model = address if isinstance(address, Model) else open_model(address)
    file = os.path.join(model.address, "config.json")
    config = read_config(model.config, file)
    config = config if rope is None else with_rope(config, rope)
    tensors = matched(model, config)
    chosen = TYPES[next(iter(tensors.values())).dtype.name] if dtype is None else dtype_named(dtype)
    with torch.device("meta"):
        empty = Llama(config)
    loaded = _allocated(empty, chosen, checked_device(device))
    fill(loaded, tensors)
    return loaded.eval()


def _allocated(model: Llama, dtype: torch.dtype, device: torch.device) -> Llama:
    """Memory for every parameter; `to_empty` does the same and loads torch's symbolic shapes for it (32 MiB)."""
    for module in model.modules():
        for name, empty in list(module.named_parameters(recurse=False)):
            setattr(module, name, torch.nn.Parameter(torch.empty(empty.shape, dtype=dtype, device=device)))
    return model


def in_columns(model: Llama) -> Llama:
    """Lays float32 matrices on a CPU out column by column, values and shapes unchanged.

    One row times such a matrix takes a third to two thirds of the time, and many rows no longer: what writes token
    by token is faster. Only the table of embeddings is read less directly, so it stays where a head is its own.
    """
    tables = () if model.head is None else (model.embedding.weight,)
    for weight in model.parameters():
        if weight.dim() == 2 and weight.dtype == torch.float32 and weight.device.type == "cpu":
            weight.data = weight.data if any(weight is table for table in tables) else weight.data.t().contiguous().t()
    return model


def checked_device(device: str) -> torch.device:
    """The device of a name. Raises UsageError for one that is not here."""
    try:
        chosen = torch.device(device)
        torch.empty(1, device=chosen)
    except (RuntimeError, AssertionError, NotImplementedError) as absent:
        raise UsageError(f'no device "{device}" is here', next="cpu always is") from absent
    return chosen


def matched(model: Model, config: LlamaConfig) -> dict[str, Tensor]:
    """The folder's tensor for every part of the config, by name. Raises FormatError for what does not fit."""
    wanted = {part.name: part for part in parts(config)}
    named = {model.names.get(tensor.name, tensor.name): tensor for tensor in model.tensors}
    stored = {name: tensor for name, tensor in named.items() if not _LEFT_OUT.fullmatch(name)}
    for name, part in wanted.items():
        if name not in stored:
            raise FormatError("is missing", file=model.address, tensor=name, next="is config.json this model's?")
        _check(model, stored[name], part)
    spare = sorted(set(stored) - set(wanted))
    if spare == ["lm_head.weight"] and config.tied:
        _check_tied(model, stored["lm_head.weight"], stored["model.embed_tokens.weight"])
    elif spare:
        more = f" (and {len(spare) - 1} more)" if len(spare) > 1 else ""
        message = f"is here and no LLaMA of this config has it{more}"
        raise FormatError(message, file=model.address, tensor=spare[0], next="an architecture that only looks alike?")
    return {name: stored[name] for name in wanted}


def _check(model: Model, tensor: Tensor, part: Part) -> None:
    if tuple(tensor.shape) != part.shape:
        message = f"has shape {list(tensor.shape)}, config.json says {list(part.shape)}"
        raise FormatError(message, file=model.address, tensor=tensor.name)
    if tensor.dtype.name not in TYPES:
        message = f"is stored as {tensor.dtype.name}; the reference reads {', '.join(TYPES)}"
        raise FormatError(message, file=model.address, tensor=tensor.name)


def _check_tied(model: Model, head: Tensor, embedding: Tensor) -> None:
    """A tied head that is written out all the same must be the embedding."""
    if head.dtype != embedding.dtype or head.shape != embedding.shape or not torch.equal(_read(head), _read(embedding)):
        message = "differs from the embedding, although config.json ties the two"
        raise FormatError(message, file=model.address, tensor=head.name, next='is "tie_word_embeddings" right?')


def fill(model: Llama, tensors: Mapping[str, Tensor]) -> None:
    """Reads every tensor into its rows of the model, a few MiB at a time, rounded to the model's type."""
    parameters = dict(model.named_parameters())
    buffer = np.empty(FILL_BYTES, np.uint8)
    with torch.no_grad():
        for part in parts(model.config):
            rows, tensor = parameters[part.parameter][part.begin : part.end], tensors[part.name]
            if not rows.is_contiguous():  # a matrix that was laid out in columns
                rows.copy_(_read(tensor))
                continue
            flat, done = rows.view(-1), 0
            for chunk in tensor.chunks(buffer):
                flat[done : done + chunk.size].copy_(torch.from_numpy(chunk).view(TYPES[tensor.dtype.name]))
                done += chunk.size


def read_values(tensors: Mapping[str, Tensor]) -> dict[str, torch.Tensor]:
    """The values of all tensors, in the types they are stored in: a second set of weights beside a model's own."""
    return {name: _read(tensor) for name, tensor in tensors.items()}


def fill_values(model: Llama, values: Mapping[str, torch.Tensor]) -> None:
    """As `fill`, from values that were read before."""
    parameters = dict(model.named_parameters())
    with torch.no_grad():
        for part in parts(model.config):
            parameters[part.parameter][part.begin : part.end].copy_(values[part.name])


def _read(tensor: Tensor) -> torch.Tensor:
    """The values of a stored tensor, in the type they are stored in."""
    buffer = np.empty(max(tensor.size * tensor.dtype.itemsize, 1), np.uint8)
    for _ in tensor.chunks(buffer):  # the buffer holds it whole: one chunk
        pass
    return torch.from_numpy(buffer).view(TYPES[tensor.dtype.name]).view(tuple(tensor.shape))
