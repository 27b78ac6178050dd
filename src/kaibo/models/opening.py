"""From an address to a model: the files are found, their headers checked, each tensor given its layer and role."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from kaibo.errors import MissingError
from kaibo.models.addresses import WEB, Target, hub_parts, hub_target, local_target, scheme_of, text_of, web_target
from kaibo.models.anatomy import Position, anatomy_for, architecture
from kaibo.models.descriptions import Described, describe
from kaibo.words import Note, note

if TYPE_CHECKING:  # a lone config is described without what reads weights: its imports are made where they are used
    from kaibo.models.formats import Contents
    from kaibo.models.packings import Stream
    from kaibo.models.series import Opened
    from kaibo.vocabulary import Model, Tensor

UNVERIFIED = (note("unverified"), note("unverified_unpublished"))
"""What is said of files far away, which pass in parts: of those with a published SHA-256, and of others."""


@dataclass(frozen=True)
class Description:
    """A model as far as it is known without its weights: what `kaibo inspect` needs.

    `tensors` are known from the headers alone; None where the address holds no weights (a lone `config.json`, a
    repository without weights).
    """

    address: str
    name: str
    config: Mapping[str, Any]
    documents: Mapping[str, Any]
    notes: tuple[Note, ...] = ()
    family: str | None = None
    files: tuple[str, ...] = ()
    tensors: tuple[Tensor, ...] | None = None


def open_model(address: str | os.PathLike[str], *, trust_shards: bool = False, as_stored: bool = False) -> Model:
    """The model at an address, its headers read and checked, none of its weights.

    With `trust_shards` what the shards hold counts where their index disagrees; with `as_stored` packed weights are
    their codes. Raises MissingError for absent
    files, FormatError for malformed ones, PolicyError for pickles and paths out of the folder, NetworkError when
    the hub is out of reach.
    """
    from kaibo.models.weights import open_weights

    text = text_of(address)
    target = target_of(text)
    if _lone_json(target):
        raise MissingError("describes a model and holds no weights", file=text, next="name the folder with the weights")
    opened = open_weights(target, trust=trust_shards)
    described = _describe(target)
    model = _model(target, opened, described, as_stored=as_stored)
    return model if target.far is None else replace(model, notes=(*model.notes, *_unverified(opened)))


def verified(model: Model) -> Model:
    """The model, after each of its files far away was read once and is what its published SHA-256 says.

    Raises FormatError where one is not, and what reading raises. A model of this machine is handed back as it is.
    """
    target = target_of(model.address)
    if target.far is None:
        return model
    from kaibo.models.places import whole

    files = whole.published([target.opened(name) for name in model.files])
    whole.check(files)
    told = note("verified", count=len(files), total=len(model.files))
    return replace(model, notes=(*(one for one in model.notes if one not in UNVERIFIED), told))


def _unverified(opened: Opened) -> tuple[Note, ...]:
    """What has to be said of files far away: nobody has looked at one as a whole."""
    from kaibo.models.places import whole
    from kaibo.models.places.remote import RemoteFile

    far = [place for _, place in opened.files.values() if isinstance(place, RemoteFile)]
    return (UNVERIFIED[0 if whole.published(far) else 1],) if far else ()


def open_description(address: str | os.PathLike[str], *, trust_shards: bool = False) -> Description:
    """What an address says about a model, from its small files and, where weights are there, their headers.

    Of what lies far away config and headers are read. Raises as `open_model` does, but weights may be absent.
    """
    text = text_of(address)
    target = target_of(text)
    described = _describe(target, texts=target.far is None)
    notes = (*target.notes, *described.notes)
    if not _lone_json(target):
        from kaibo.models.weights import LOOKED_FOR, open_weights

        try:
            model = _model(target, open_weights(target, trust=trust_shards), described)
        except MissingError as problem:
            if not described.config or problem.message != LOOKED_FOR:
                raise
            notes = (*notes, note("no_weights"))
        else:
            return _description(model)
    return Description(text, target.name, described.config, described.documents, notes)


def _description(model: Model) -> Description:
    return Description(
        model.address,
        model.name,
        model.config,
        model.documents,
        model.notes,
        model.family,
        model.files,
        model.tensors,
    )


def _lone_json(target: Target) -> bool:
    """Whether the address names a config, which has no weights beside it that were asked for."""
    return target.file is not None and target.file.endswith(".json") and not target.file.endswith(".index.json")


def target_of(address: str) -> Target:
    """Where an address leads. What lies far away is read where it is.

    Raises MissingError for what is not there or lacks an extra, UsageError for what is no address, NetworkError where
    a place does not answer.
    """
    scheme = scheme_of(address)
    if not scheme:
        return local_target(address)
    from kaibo.models.places import far

    if scheme == "hf":
        return hub_target(address, far.repository)
    return web_target(address, far.web_folder if scheme in WEB else far.object_folder)


def local_of(address: str, *, weights: bool = True) -> Target:
    """The same for who needs the files on this machine: from the hub the small files are fetched, and the weights.

    Raises MissingError for other places far away.
    """
    scheme = scheme_of(address)
    if not scheme:
        return local_target(address)
    if scheme != "hf":
        message = "lies far away, and this needs its files on this machine"
        raise MissingError(message, file=address, next="download the folder and name it")
    from kaibo.models.places.hub import snapshot

    repository, revision, file = hub_parts(address)
    folder = snapshot(repository, revision, weights=weights, file=file)
    return local_target(address, os.path.join(folder, file or ""), repository if file is None else None)


def _describe(target: Target, *, texts: bool = True) -> Described:
    """The small files; for a file that the user named alone, only those that surely belong to it.

    Without `texts` only the config is asked for.
    """
    if _lone_json(target):
        return describe(target, str(target.file))
    from kaibo.models.formats.shards import SHARD
    from kaibo.models.weights import SINGLES

    file = target.file
    of_folder = file is None or file in SINGLES or file.endswith(".index.json") or SHARD.fullmatch(file)
    return describe(target, texts=texts) if of_folder else Described()


def _model(target: Target, opened: Opened, described: Described, *, as_stored: bool = False) -> Model:
    from kaibo.models.formats import stored
    from kaibo.models.packings import stream
    from kaibo.vocabulary import Model

    chosen = [
        stored(entry, contents.digest, place)
        for file, (contents, place) in opened.files.items()
        for entry in contents.entries
        if opened.use.get(entry.name, file) == file
    ]
    said = _said(opened)
    config, documents = described.config or said.config, {**said.documents, **described.documents}
    found = stream(chosen, config, as_stored=as_stored)
    tensors = [_undone(tensor, said) for tensor in found.tensors]
    names = {tensor.name: said.names.get(tensor.name, tensor.name) for tensor in tensors}
    if said.meant:
        positions, family = _factor_positions(said.meant), "adapter"
    else:
        anatomy = anatomy_for(config, list(names.values()))
        positions, family = {name: anatomy.place(known) for name, known in names.items()}, anatomy.family
    return Model(
        target.address,
        target.name,
        family,
        _placed(tensors, positions),
        config,
        tuple(opened.files),
        (*target.notes, *opened.notes, *said.notes, *found.notes, *described.notes),
        documents,
        _undecoded(found, config),
        {} if said.meant else {name: known for name, known in names.items() if name != known},
    )


def _said(opened: Opened) -> Contents:
    """What the files themselves say of their model, put together; the first file that says a thing counts."""
    from kaibo.models.formats import Contents

    files = [contents for contents, _ in opened.files.values()]
    config = next((one.config for one in files if one.config), {})
    documents = next((one.documents for one in files if one.documents), {})
    names = {name: known for one in files for name, known in one.names.items()}
    interleaved = {name: size for one in files for name, size in one.interleaved.items()}
    plus_one = frozenset(name for one in files for name in one.plus_one)
    meant = {name: weight for one in files for name, weight in one.meant.items()}
    notes = tuple(dict.fromkeys(note for one in files for note in one.notes))
    return Contents((), "", config, documents, names, interleaved, plus_one, meant, {}, notes)


def _undone(tensor: Tensor, said: Contents) -> Tensor:
    """A tensor as the family's own files hold it: what the file's writer changed is undone."""
    from kaibo.models.rotary import to_half
    from kaibo.models.rows import chosen_rows
    from kaibo.models.views import shifted

    if tensor.name in said.plus_one and tensor.dtype.measurable:
        return shifted(tensor, -1.0)
    size = said.interleaved.get(tensor.name)
    if size is None or not tensor.dtype.measurable:
        return tensor
    return chosen_rows(tensor, to_half(tensor.shape[0] // size, size, size))


def _placed(tensors: Sequence[Tensor], positions: Mapping[str, Position]) -> tuple[Tensor, ...]:
    """The tensors with layer and role, in the order of their canonical names, each of which is one tensor's."""
    from kaibo.models.packings import put

    counts = Counter(position.canonical for position in positions.values())
    placed = []
    for tensor in tensors:
        position = positions[tensor.name]
        canonical = position.canonical if counts[position.canonical] == 1 else tensor.name
        placed.append(put(tensor, canonical, position.layer, position.role))
    return tuple(sorted(placed, key=lambda tensor: (tensor.canonical, tensor.name)))


def _undecoded(found: Stream, config: Mapping[str, Any]) -> int:
    """Parameters in codes that no packing decodes: what the config promises beside those that are decoded."""
    if not found.undecoded:
        return 0
    decoded = sum(tensor.size for tensor in found.tensors if tensor.dtype.measurable)
    promised = architecture(config).parameters if config else None
    return max(promised - decoded, 1) if promised is not None else found.undecoded


def _factor_positions(meant: Mapping[str, str]) -> dict[str, Position]:
    """Layer and role of the weight that each factor belongs to; the canonical name says which factor it is."""
    from kaibo.models.formats.adapter import PREFIX

    anatomy = anatomy_for({}, meant.values())
    found = {name: anatomy.place(weight) for name, weight in meant.items()}
    return {name: Position(name.removeprefix(PREFIX), place.layer, place.role) for name, place in found.items()}
