"""Which files of an address hold the weights; their headers, opened and checked against each other."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from kaibo.errors import FormatError, KaiboError, MissingError, PolicyError
from kaibo.models import formats
from kaibo.models.addresses import Target
from kaibo.models.formats import Contents, gguf, sniff
from kaibo.models.formats.adapter import CONFIG as ADAPTER_CONFIG
from kaibo.models.formats.adapter import PICKLE as ADAPTER_PICKLE
from kaibo.models.formats.adapter import WEIGHTS as ADAPTERS
from kaibo.models.formats.adapter import AdapterConfig, parse_config
from kaibo.models.formats.shards import (
    PICKLES,
    SHARD,
    Index,
    compare,
    duplicates,
    listed,
    missing_of_series,
    parse_index,
)
from kaibo.models.places.folder import LocalFile

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
INDEX_LIMIT = 100_000_000
CONFIG_LIMIT = 1 << 24
FACTORS = "the stored factors A and B are measured; `kaibo diff BASE ADAPTER` measures what they add, ΔW"
LOOKED_FOR = "no weights found (looked for *.safetensors, *.gguf, *.bin)"

Held = dict[str, tuple[Contents, LocalFile]]


@dataclass(frozen=True)
class Opened:
    """What a model's weight files hold, by file name relative to the folder."""

    files: Held
    notes: tuple[str, ...] = ()
    use: Mapping[str, str] = field(default_factory=dict)  # tensor -> file, where several hold it
    adapter: AdapterConfig | None = None


def open_weights(target: Target, *, trust: bool = False) -> Opened:
    """What every file holds that the model's weights are in.

    Raises MissingError for absent files, FormatError for malformed ones and for shards that disagree with their
    index (unless `trust`), PolicyError for pickles and for paths out of the folder.
    """
    if target.file is not None:
        return _open_named(target, target.file, trust)
    names = _names(target)
    weights = [name for name in names if _is_weights(name)]
    if INDEX in names or (indexes := [name for name in names if name.endswith(".safetensors.index.json")]):
        index_name = INDEX if INDEX in names else indexes[0]
        index = _read_index(target, index_name)
        if SINGLE in names and SINGLE not in index.shards:
            note = f"both {SINGLE} and {index_name} are here; {SINGLE} was used"
            return _open_files(target, [SINGLE], (note,))
        return _open_indexed(target, index, weights, trust)
    if not any(name.endswith(".safetensors") for name in weights) and weights:
        return _open_gguf(target, weights)
    weights = [name for name in weights if name.endswith(".safetensors")]
    if SINGLE in weights:
        return _open_files(target, [SINGLE], _stray(weights, [SINGLE]))
    if weights:
        return _open_unlisted(target, weights, trust)
    return _open_nested(target, names, trust)


def _names(target: Target) -> list[str]:
    try:
        return sorted(os.listdir(target.root))
    except OSError as problem:
        raise MissingError("the folder cannot be listed", file=target.address) from problem


def _open_named(target: Target, file: str, trust: bool) -> Opened:
    if file.endswith(".index.json"):
        return _open_indexed(target, _read_index(target, file), [], trust)
    place = LocalFile(os.path.join(target.root, file), name=target.address)
    if file.lower().endswith(PICKLES):
        message = "is a pickle by its name, and pickles run code when they are opened"
        raise PolicyError(message, file=target.address, next=sniff.NO_PICKLES)
    shard = SHARD.fullmatch(file)
    if shard is not None and shard[4] == "gguf":
        names = [
            name
            for name in _names(target)
            if (one := SHARD.fullmatch(name)) and one.groups()[::2] == shard.groups()[::2]
        ]
        return _open_gguf(target, names)
    part = shard is not None and int(shard[3]) > 1
    note = (f"{file} is one shard of several; name the folder for the whole model",) if part else ()
    return Opened({file: (formats.read(place, file), place)}, note)


def _open_gguf(target: Target, names: list[str]) -> Opened:
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
    opened = _open_files(target, models, _stray(names, models))
    if not series:
        return opened
    contents = gguf.joined({target.path(name): held for name, (held, _) in opened.files.items()})
    places = {target.path(name): (name, place) for name, (_, place) in opened.files.items()}
    return Opened({places[path][0]: (held, places[path][1]) for path, held in contents.items()}, opened.notes)


def _open_files(target: Target, names: list[str], notes: tuple[str, ...]) -> Opened:
    return Opened({name: _open_one(target, name) for name in names}, notes)


def _open_one(target: Target, name: str) -> tuple[Contents, LocalFile]:
    place = target.opened(name)
    return formats.read(place, os.path.basename(name)), place


def _read_index(target: Target, name: str) -> Index:
    place = target.opened(name)
    return parse_index(_whole(place, INDEX_LIMIT), place.name)


def _whole(place: LocalFile, limit: int) -> bytes:
    if place.size > limit:
        raise FormatError(f"is {place.size} bytes long, the limit is {limit}", file=place.name)
    return place.read(0, place.size)


def _open_indexed(target: Target, index: Index, weights: list[str], trust: bool) -> Opened:
    for shard in index.shards:  # every path is looked at before the first file is opened
        target.inside(shard)
    unnamed = missing_of_series(os.path.basename(shard) for shard in index.shards)
    gone = [shard for shard in unnamed if not os.path.lexists(os.path.join(target.root, shard))]
    if gone and not trust:
        message = f"the index names {len(index.shards)} shards and leaves out {listed(gone)} of their series"
        next_step = "fetch index and shards again; --trust-shards uses what the named shards hold"
        raise FormatError(message, file=target.address, next=next_step)
    files = _open_shards(target, index.shards, index.lost)
    others = {shard: _open_one(target, shard) for shard in unnamed if shard not in gone}
    files |= {shard: held for shard, held in others.items() if held[0].entries}
    held = _names_held(files)
    notes = list(_stray(weights, index.shards))
    found = compare(index, held)
    if found.faults and not trust:
        next_step = "--trust-shards uses what the shards hold"
        raise FormatError(found.sentence, file=target.address, next=next_step)
    if found.faults:
        notes.append(f"{found.sentence}; what the shards hold was used")
    total = sum(entry.end - entry.begin for contents, _ in files.values() for entry in contents.entries)
    if index.total is not None and index.total != total:
        notes.append(f"the index says that all tensors take {index.total} bytes, they take {total}")
    return Opened(files, tuple(notes), _holders(held, index.shard_of))


def _names_held(files: Held) -> dict[str, list[str]]:
    return {file: [entry.name for entry in contents.entries] for file, (contents, _) in files.items()}


def _open_shards(target: Target, shards: tuple[str, ...], lost: Callable[[str], list[str]]) -> Held:
    """What all shards hold; the first one that cannot be read is named with the tensors lost with it."""
    files: Held = {}
    broken: list[tuple[str, KaiboError]] = []
    for shard in shards:
        try:
            files[shard] = _open_one(target, shard)
        except PolicyError:
            raise
        except KaiboError as problem:
            broken.append((shard, problem))
    if not broken:
        return files
    tensors = [tensor for shard, _ in broken for tensor in lost(shard)]
    first = broken[0][1]
    others = f"; so with {listed([shard for shard, _ in broken[1:]])}" if len(broken) > 1 else ""
    message = f"{first.message}{others}; {len(tensors)} tensors are lost: {listed(tensors)}"
    next_step = first.next or "fetch the shard again"
    raise type(first)(message, file=first.file, tensor=first.tensor, offset=first.offset, next=next_step) from first


def _open_unlisted(target: Target, weights: list[str], trust: bool) -> Opened:
    """Files without an index: a series that must be complete, or the one file, or all files together."""
    series = [name for name in weights if SHARD.fullmatch(name)]
    absent = missing_of_series(series)
    if absent:
        message = f"shards are missing: {listed(absent)}; there is no index that says which tensors are lost"
        raise MissingError(message, file=target.path(absent[0]), next="fetch the shards again")
    used = series or weights
    for name in used:
        target.inside(name)
    opened = _open_files(target, used, _stray(weights, used))
    held = _names_held(opened.files)
    twice = duplicates(held)
    if twice and not trust:
        message = f"{len(twice)} tensors are in more than one of {len(used)} files ({listed(used)}): {listed(twice)}"
        raise FormatError(message, file=target.address, next="name one file, or --trust-shards takes the first of each")
    return Opened(opened.files, opened.notes, _holders(held, {}))


def _open_nested(target: Target, names: list[str], trust: bool) -> Opened:
    """No weights at the top: the one subfolder that has some, else the error that says what is here instead."""
    if ADAPTER_CONFIG in names:
        return _open_adapter(target)
    inner = [name for name in names if not name.startswith(".") and _has_weights(target, name)]
    if len(inner) == 1:
        folder = replace(target, shown=target.path(inner[0]), root=os.path.join(target.root, inner[0]))
        opened = open_weights(folder, trust=trust)
        files = {os.path.join(inner[0], name): value for name, value in opened.files.items()}
        use = {tensor: os.path.join(inner[0], file) for tensor, file in opened.use.items()}
        return Opened(files, (*opened.notes, f"the weights of the subfolder {inner[0]} were used"), use)
    if inner:
        message = f"no weights here, but in the subfolders {listed(inner)}"
        raise MissingError(message, file=target.address, next="name one of them")
    pickles = [name for name in names if name.lower().endswith(PICKLES)]
    if pickles:
        message = f"holds only pickles ({listed(pickles)}), which run code when they are opened"
        raise PolicyError(message, file=target.address, next=sniff.NO_PICKLES)
    if target.root.endswith(".safetensors"):
        raise FormatError("is a folder, not a file, and holds no weights", file=target.address)
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
    return parse_config(_whole(place, CONFIG_LIMIT), place.name)


def factors_of(target: Target) -> str:
    """The file of an adapter's factors. Raises PolicyError for a pickle, MissingError where there is none."""
    names = _names(target)
    found = next((name for name in ADAPTERS if name in names), None)
    if found is not None:
        return found
    if ADAPTER_PICKLE in names:
        message = "is a pickle by its name, and pickles run code when they are opened"
        raise PolicyError(message, file=target.path(ADAPTER_PICKLE), next=sniff.NO_PICKLES)
    raise MissingError(
        f"has {ADAPTER_CONFIG} but no {ADAPTERS[0]}", file=target.address, next="fetch the adapter again"
    )


def _open_adapter(target: Target) -> Opened:
    """The stored factors of an adapter; what they add to a base is not formed here."""
    config, file = adapter_config_of(target), factors_of(target)
    return Opened({file: _open_one(target, file)}, (config.sentence, FACTORS), adapter=config)


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
    if name.lower().endswith(".gguf"):
        return True
    return name.endswith(".safetensors") and not name.startswith("adapter_") and name not in ADAPTERS


def _stray(weights: list[str], used: Sequence[str]) -> tuple[str, ...]:
    stray = sorted(set(weights) - set(used))
    return (f"not used: {listed(stray)}",) if stray else ()


def _holders(held: Mapping[str, list[str]], preferred: Mapping[str, str]) -> dict[str, str]:
    """The file each duplicated tensor is taken from: the one the index names, else the first."""
    twice = set(duplicates(held))
    chosen: dict[str, str] = {}
    for file, names in held.items():
        for tensor in twice.intersection(names):
            if tensor not in chosen or preferred.get(tensor) == file:
                chosen[tensor] = file
    return chosen
