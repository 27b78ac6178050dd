"""Which files of an address hold the weights; their headers, opened and checked against each other."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from kaibo.errors import FormatError, MissingError
from kaibo.models import formats
from kaibo.models.addresses import Target
from kaibo.models.formats import gguf, sniff, tensor_parallel, torch_distributed, torch_zip
from kaibo.models.formats.adapter import CONFIG as ADAPTER_CONFIG
from kaibo.models.formats.adapter import WEIGHTS as ADAPTERS
from kaibo.models.formats.adapter import AdapterConfig, parse_config
from kaibo.models.formats.shards import SHARD, listed, missing_of_series
from kaibo.models.places.folder import LocalFile
from kaibo.models.series import (
    Opened,
    beside,
    open_files,
    open_indexed,
    open_one,
    open_unlisted,
    read_index,
    stray,
    whole,
)
from kaibo.words import note

SINGLE = "model.safetensors"
SINGLES = (SINGLE, "pytorch_model.bin", "model.bin")
CONFIG_LIMIT = 1 << 24
MOST_PARTS = 10_000
FACTORS = note("adapter_factors")
LOOKED_FOR = "no weights found (looked for *.safetensors, *.gguf, *.bin)"

_STATES = ("training_args.bin", "optim", "scheduler", "rng_state", "adapter_", "scaler", "random_states")
"""What stands in the names of files that trainers write beside the weights."""


def open_weights(target: Target, *, trust: bool = False) -> Opened:
    """What every file holds that the model's weights are in.

    Raises MissingError for absent files, FormatError for malformed ones and for shards that disagree with their
    index (unless `trust`), PolicyError for pickles that want more than tensors and for paths out of the folder.
    """
    if target.file is not None:
        return _open_named(target, target.file, trust)
    names = _names(target)
    for belongs, opening in _KINDS:
        if held := [name for name in names if belongs(name)]:
            opened = opening(target, held, trust)
            others = [name for name in names if _is_weights(name) and not belongs(name)]
            return replace(opened, notes=(*opened.notes, *stray(others, ())))
    return _open_nested(target, names, trust)


_ASKED = (f"{SINGLE}.index.json", SINGLE, ADAPTER_CONFIG, *(f"{one}.index.json" for one in SINGLES[1:]), *SINGLES[1:])
"""What is asked for in a folder far away, one after the other until something is there, before it is listed."""


def _names(target: Target) -> list[str]:
    """The files of a folder; of one far away those that have to be known, since each costs a request."""
    if target.far is None:
        return target.names()
    found = next((name for name in _ASKED if target.has(name)), None)
    if found is None:
        return target.names()
    held = next((name for name in ADAPTERS if target.has(name)), None) if found == ADAPTER_CONFIG else None
    return [found] if held is None else [found, held]


def _open_named(target: Target, file: str, trust: bool) -> Opened:
    if file.endswith(".index.json"):
        return open_indexed(target, read_index(target, file), [], trust)
    shard = SHARD.fullmatch(file)
    if shard is not None and shard[4] == "gguf":
        return _open_gguf(target, _series(target, file, shard), trust)
    place = target.opened(file) if target.far else LocalFile(os.path.join(target.root, file), name=target.address)
    part = shard is not None and int(shard[3]) > 1
    notes = (note("one_shard", file=file),) if part else ()
    return Opened({file: (formats.read(place, file, beside(target, file)), place)}, notes)


def _series(target: Target, file: str, shard: re.Match[str]) -> list[str]:
    """The files of the series that one of them names; a place that cannot be listed has them all, or opening fails."""
    if target.far is not None:
        width, count = len(shard[2]), min(int(shard[3]), MOST_PARTS)
        begin, end = file[: shard.start(2)], file[shard.end(2) :]
        return [f"{begin}{number:0{width}d}{end}" for number in range(1, count + 1)]
    names = ((name, SHARD.fullmatch(name)) for name in target.names())
    return [name for name, one in names if one and one.groups()[::2] == shard.groups()[::2]]


def _is_safetensors(name: str) -> bool:
    held = name.endswith(".safetensors") and not name.startswith("adapter_") and name not in ADAPTERS
    return held or name.endswith(".safetensors.index.json")


def _is_gguf(name: str) -> bool:
    return name.lower().endswith(".gguf")


def _is_torch(name: str) -> bool:
    lower = name.lower()
    index = lower.endswith(tuple(f"{ending}.index.json" for ending in torch_zip.ENDINGS))
    return index or (lower.endswith(torch_zip.ENDINGS) and not any(part in lower for part in _STATES))


def _is_distributed(name: str) -> bool:
    return name == torch_distributed.METADATA or name.endswith(".distcp")


def _is_onnx(name: str) -> bool:
    return name.lower().endswith(".onnx")


def _open_sharded(target: Target, names: list[str], trust: bool) -> Opened:
    """Files of safetensors or of PyTorch: one of a usual name, those of an index, or all."""
    indexes = [name for name in names if name.endswith(".index.json")]
    weights = [name for name in names if name not in indexes]
    single = next((name for name in SINGLES if name in weights), None)
    if indexes:
        name = next((one for one in indexes if one.removesuffix(".index.json") in SINGLES), indexes[0])
        index = read_index(target, name)
        if single is None or single in index.shards:
            return open_indexed(target, index, weights, trust)
        return open_files(target, [single], (note("both_here", file=single, index=name),))
    if single is not None:
        return open_files(target, [single], stray(weights, [single]))
    if len(weights) > 1 and all(map(tensor_parallel.NAME.fullmatch, weights)):
        opened = open_files(target, weights)
        held = {name: contents for name, (contents, _) in opened.files.items()}
        places = {name: place for name, (_, place) in opened.files.items()}
        ranks = tensor_parallel.joined(held, places)
        return replace(opened, files={name: (one, places[name]) for name, one in ranks.items()})
    return open_unlisted(target, weights, trust)


def _open_gguf(target: Target, names: list[str], trust: bool) -> Opened:
    """The one GGUF file of a folder, or all parts of the one that is split; a vision tower beside it is not read."""
    models = [name for name in names if not os.path.basename(name).lower().startswith("mmproj")]
    series = [name for name in models if SHARD.fullmatch(name)]
    if absent := missing_of_series(series):
        message = f"parts are missing: {listed(absent)}"
        raise MissingError(message, file=target.path(absent[0]), next="fetch the parts again")
    stems = {found[1] for found in map(SHARD.fullmatch, series) if found}
    if len(models) != len(series) + (not series) or len(stems) > 1:
        message = f"holds several GGUF files ({listed(models or names)})"
        raise MissingError(message, file=target.address, next="name one of them")
    opened = open_files(target, models, stray(names, models))
    if not series:
        return opened
    contents = gguf.joined({target.path(name): held for name, (held, _) in opened.files.items()})
    places = {target.path(name): (name, place) for name, (_, place) in opened.files.items()}
    return Opened({places[path][0]: (held, places[path][1]) for path, held in contents.items()}, opened.notes)


def _open_distributed(target: Target, names: list[str], trust: bool) -> Opened:
    if torch_distributed.METADATA not in names:
        message = f"holds {len(names)} files of a distributed checkpoint and no {torch_distributed.METADATA}"
        raise MissingError(message, file=target.address, next="fetch it; it says which tensors the files hold")
    return open_files(target, [torch_distributed.METADATA])


def _open_onnx(target: Target, names: list[str], trust: bool) -> Opened:
    if len(names) > 1 and "model.onnx" not in names:
        raise MissingError(f"holds several ONNX files ({listed(names)})", file=target.address, next="name one of them")
    used = "model.onnx" if "model.onnx" in names else names[0]
    return open_files(target, [used], stray(names, [used]))


def _open_nested(target: Target, names: list[str], trust: bool) -> Opened:
    """No weights at the top: the one subfolder that has some, else the error that says what is here instead."""
    if ADAPTER_CONFIG in names:
        return _open_adapter(target)
    inner = [name for name in names if not target.far and not name.startswith(".") and _has_weights(target, name)]
    if len(inner) == 1:
        folder = replace(target, shown=target.path(inner[0]), root=os.path.join(target.root, inner[0]))
        opened = open_weights(folder, trust=trust)
        files = {os.path.join(inner[0], name): value for name, value in opened.files.items()}
        use = {tensor: os.path.join(inner[0], file) for tensor, file in opened.use.items()}
        return Opened(files, (*opened.notes, note("subfolder", name=inner[0])), use)
    if inner:
        message = f"no weights here, but in the subfolders {listed(inner)}"
        raise MissingError(message, file=target.address, next="name one of them")
    if target.root.endswith(".safetensors"):
        raise FormatError("is a folder, not a file, and holds no weights", file=target.address)
    sniff.refuse_folder(names, target.address)
    raise MissingError(LOOKED_FOR, file=target.address, next="is this the right folder?")


def is_adapter(target: Target) -> bool:
    """Whether a folder holds an adapter, and no weights of a whole model beside it."""
    if target.file is not None:
        return False
    names = _names(target)
    return ADAPTER_CONFIG in names and not any(_is_weights(name) for name in names)


def adapter_config_of(target: Target) -> AdapterConfig:
    """The config of an adapter's folder. Raises FormatError for a malformed one, MissingError for a kind not read."""
    place = target.opened(ADAPTER_CONFIG)
    return parse_config(whole(place, CONFIG_LIMIT), place.name)


def factors_of(target: Target) -> str:
    """The file of an adapter's factors. Raises MissingError where there is none."""
    found = next((name for name in ADAPTERS if target.has(name)), None)
    if found is not None:
        return found
    raise MissingError(
        f"has {ADAPTER_CONFIG} but no {ADAPTERS[0]}", file=target.address, next="fetch the adapter again"
    )


def _open_adapter(target: Target) -> Opened:
    """The stored factors of an adapter; what they add to a base is not formed here."""
    config, file = adapter_config_of(target), factors_of(target)
    return Opened({file: open_one(target, file)}, (config.sentence, FACTORS), adapter=config)


def weights_among(names: Sequence[str]) -> list[str]:
    """Which of a folder's files hold its weights, of the kind that would be read; their index is none of them."""
    for belongs, _ in _KINDS:
        if held := [name for name in names if belongs(name) and not name.endswith(".index.json")]:
            return held
    return [name for name in names if name in ADAPTERS]


def _has_weights(target: Target, name: str) -> bool:
    path = os.path.join(target.root, name)
    if os.path.islink(path) or not os.path.isdir(path):
        return False
    try:
        inner = os.listdir(path)
    except OSError:
        return False
    return any(_is_weights(file) for file in inner)


def _is_weights(name: str) -> bool:
    return any(belongs(name) for belongs, _ in _KINDS)


Opening = Callable[[Target, list[str], bool], Opened]
_KINDS: Sequence[tuple[Callable[[str], bool], Opening]] = (
    (_is_safetensors, _open_sharded),
    (_is_gguf, _open_gguf),
    (_is_torch, _open_sharded),
    (_is_distributed, _open_distributed),
    (_is_onnx, _open_onnx),
)
"""The kinds of weights of a folder, in the order in which they are preferred: which files, and how they are opened."""
