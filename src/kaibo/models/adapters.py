"""Adapters: a folder of low-rank factors comes in; with its base, a model of base + ΔW goes out, nothing merged."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from kaibo.errors import FormatError, MissingError, escaped
from kaibo.models import formats
from kaibo.models.addresses import Target, text_of
from kaibo.models.anatomy import Anatomy, anatomy_for
from kaibo.models.derived.updates import Factors, Update, adapted, values_of
from kaibo.models.descriptions import describe
from kaibo.models.formats import StoredTensor
from kaibo.models.formats.adapter import CONFIG, WEIGHTS, AdapterConfig, part_of
from kaibo.models.opening import open_model, target_of
from kaibo.models.pairing.sides import Side
from kaibo.models.pairing.vocabularies import vocabulary_of
from kaibo.models.views import transposed
from kaibo.models.weights import adapter_config_of, factors_of, is_adapter
from kaibo.vocabulary import Model, Tensor
from kaibo.words import Note, note

Parts = dict[str, Tensor]


@dataclass(frozen=True)
class Adapter:
    """An adapter's folder, its headers read: factors by module, and the tensors that it replaces whole."""

    target: Target
    file: str
    config: AdapterConfig
    modules: Mapping[str, Parts]
    wholes: Mapping[str, StoredTensor]


@dataclass(frozen=True)
class Applied:
    """An adapter with the base it was given: the updates, and base + ΔW as a model.

    `replaced` are the canonical names of the tensors that the adapter brings whole.
    """

    adapter: Adapter
    updates: tuple[Update, ...]
    model: Model
    replaced: frozenset[str] = frozenset()


def open_base(address: str | os.PathLike[str], *, trust_shards: bool = False) -> Model:
    """The model at an address that others are compared with; an adapter is none. Raises as `open_model` does."""
    text = text_of(address)
    if is_adapter(target_of(text)):
        next_step = "give the model it was made for first: kaibo diff BASE ADAPTER"
        raise MissingError("is an adapter, which is nothing without its base", file=text, next=next_step)
    return open_model(address, trust_shards=trust_shards)


def open_tuned(address: str | os.PathLike[str], base: Model, *, trust_shards: bool = False) -> Model:
    """The model at an address; where that is an adapter, `base` + ΔW. The base is never looked for elsewhere.

    Raises as `open_model` does; FormatError where the adapter does not fit the base.
    """
    target = target_of(text_of(address))
    if not is_adapter(target):
        return open_model(address, trust_shards=trust_shards)
    return applied(read_adapter(target), base).model


def open_adapter(address: str | os.PathLike[str]) -> Adapter | None:
    """The adapter at an address, None where something else is there."""
    target = target_of(text_of(address))
    return read_adapter(target) if is_adapter(target) else None


def vocabularies(base: Model, tuned: Model) -> tuple[dict[str, int] | None, dict[str, int] | None]:
    """The vocabularies of two models; an adapter without a tokenizer of its own is used with its base's."""
    before, after = vocabulary_of(base.address), vocabulary_of(tuned.address)
    return before, before if after is None and tuned.files and tuned.files[0] in WEIGHTS else after


def read_adapter(target: Target) -> Adapter:
    """Config and header of an adapter's folder.

    Raises FormatError for what is malformed, MissingError for kinds that are not read, PolicyError for a pickle.
    """
    config = adapter_config_of(target)
    if config.unread is not None:
        raise MissingError(config.unread, file=target.path(CONFIG), next="merge it with PEFT and name the merged model")
    file = factors_of(target)
    place = target.opened(file)
    contents = formats.read(place, file)
    modules: dict[str, Parts] = {}
    wholes: dict[str, StoredTensor] = {}
    for entry in contents.entries:
        module, part = part_of(entry.name)
        stored = formats.stored(entry, contents.digest, place)
        if not entry.dtype.measurable:
            raise FormatError(
                f"is stored as {entry.dtype.name}, which holds no weights", file=place.name, tensor=entry.name
            )
        taken = _taken(modules, wholes, module, part, stored)
        if not taken:
            raise FormatError(
                "stands for a part that another tensor stands for, too", file=place.name, tensor=entry.name
            )
    return Adapter(target, file, config, modules, wholes)


def _taken(
    modules: dict[str, Parts], wholes: dict[str, StoredTensor], module: str, part: str, stored: StoredTensor
) -> bool:
    """Puts a tensor where it belongs; False where another one is there already."""
    if part == "whole":
        return wholes.setdefault(module, stored) is stored
    turned = part.endswith(" turned") and len(stored.shape) == 2
    tensor = transposed(stored) if turned else stored
    return modules.setdefault(module, {}).setdefault(part.removesuffix(" turned"), tensor) is tensor


def applied(adapter: Adapter, base: Model) -> Applied:
    """An adapter on its base. Raises FormatError naming the tensor where the two do not belong together."""
    anatomy = anatomy_for(base.config, [tensor.name for tensor in base.tensors])
    places = _Places(base, anatomy)
    wholes = {}
    for name, stored in adapter.wholes.items():
        there = places.find(name)
        if there is None and not _is_saved(adapter.config, name):
            next_step = "factors are called lora_A and lora_B; a tensor that is replaced whole has its base's name"
            message = f"is no part of an update that is known, and {base.address} has no such tensor"
            raise FormatError(message, file=adapter.target.address, tensor=stored.name, next=next_step)
        position = anatomy.place(name)
        known, canonical = (name, position.canonical) if there is None else (there.name, there.canonical)
        wholes[canonical] = replace(stored, name=known, canonical=canonical, layer=position.layer, role=position.role)
    updates = [_update(adapter, module, parts, places, wholes) for module, parts in adapter.modules.items()]
    contradicted = _contradicted(adapter, updates)
    changed: dict[str, Tensor] = {**wholes, **{update.weight.canonical: adapted(update) for update in updates}}
    kept = [tensor for tensor in base.tensors if tensor.canonical not in changed]
    described = describe(adapter.target)
    model = Model(
        address=adapter.target.address,
        name=adapter.target.name,
        family=base.family,
        tensors=tuple(sorted([*kept, *changed.values()], key=lambda tensor: (tensor.canonical, tensor.name))),
        config=base.config,
        files=(adapter.file,),
        notes=(*adapter.target.notes, *notes_on(adapter, base), *contradicted, *described.notes),
        documents={**base.documents, **described.documents},
        undecoded=base.undecoded,
    )
    return Applied(
        adapter, tuple(sorted(updates, key=lambda update: update.weight.canonical)), model, frozenset(wholes)
    )


class _Places:
    """The tensors of a base by their canonical names."""

    def __init__(self, base: Model, anatomy: Anatomy) -> None:
        self.base, self._anatomy = base, anatomy
        self._side = Side("base", base)
        self._canonical = {tensor.canonical: tensor for tensor in base.tensors}

    def find(self, name: str) -> Tensor | None:
        """The base's tensor of a name, with or without the prefixes that differ from file to file."""
        return self._canonical.get(self._anatomy.place(name).canonical)

    def by_inputs(self, weight: Tensor) -> bool | None:
        """Whether the base stores a matrix with its inputs first; None where its family is not known."""
        if self._side.anatomy is None or len(weight.shape) != 2:
            return None
        return self._side.by_outputs(weight) is not weight


def _is_saved(config: AdapterConfig, name: str) -> bool:
    """Whether the config says that the adapter brings this tensor whole, though its base has none (a new head)."""
    return bool(set(config.saved) & set(name.split(".")))


def _contradicted(adapter: Adapter, updates: Sequence[Update]) -> Iterator[Note]:
    """Layers that the base stores otherwise than the config says: the base counts."""
    said = adapter.config.transposed
    known = [one for one in updates if said is not None and not one.weight.role.startswith("embedding")]
    matrices = [one.weight.canonical for one in known if one.factors.transposed is not said]
    if matrices:
        key = "adapter_outputs_first" if said else "adapter_inputs_first"
        yield note(key, file=CONFIG, value=str(said).lower(), count=len(matrices), first=matrices[0])


def _update(adapter: Adapter, module: str, parts: Parts, places: _Places, wholes: Mapping[str, Tensor]) -> Update:
    """The update of one module, every shape checked against the base's tensor."""
    first = next(iter(parts.values()))
    name = first.name
    if "bias" in parts:
        raise MissingError("is a bias inside the factors (lora_bias), which this version does not read", tensor=name)
    weight = places.find(f"{module}.weight")
    if weight is None:
        raise FormatError(_absent(places.base, module), file=adapter.target.address, tensor=name, next=_wrong(adapter))
    weight = wholes.get(weight.canonical, weight)
    outer, inner = _pair(adapter, module, parts)
    if not weight.dtype.measurable:
        message = f"is added to a weight that {places.base.address} stores as {weight.dtype.name} codes"
        raise FormatError(message, file=adapter.target.address, tensor=name, next="give the base in 16 or 32 bits")
    turned = "embedding_a" in parts or _turned(adapter.config, outer, inner, weight, places)
    factors = Factors(outer, inner, _scale(adapter, module, parts, inner), turned, parts.get("magnitude"))
    if factors.shape != weight.shape:
        shapes = (
            f"B·A of {_times(factors.shape)} meets {weight.name} of {_times(weight.shape)} in {places.base.address}"
        )
        raise FormatError(shapes, file=adapter.target.address, tensor=name, next=_wrong(adapter))
    _check_magnitude(adapter, module, factors)
    return Update(weight, factors)


def _pair(adapter: Adapter, module: str, parts: Parts) -> tuple[Tensor, Tensor]:
    """B and A, of the rank that the config says."""
    table = "embedding_a" in parts or "embedding_b" in parts
    outer, inner = (parts.get(f"embedding_{side}" if table else side) for side in ("b", "a"))
    file = adapter.target.address
    if outer is None or inner is None:
        raise FormatError("one of the two factors is missing", file=file, tensor=next(iter(parts.values())).name)
    if len(outer.shape) != 2 or len(inner.shape) != 2:
        message = f"has {len(inner.shape)} dimensions; factors of convolutions are not read by this version"
        raise MissingError(message, file=file, tensor=inner.name)
    rank = adapter.config.rank_of(module)
    if outer.shape[1] != rank or inner.shape[0] != rank:
        shapes = f"A is {_times(inner.shape)} and B {_times(outer.shape)}, {CONFIG} says rank {rank}"
        raise FormatError(shapes, file=file, tensor=inner.name, next="fetch the adapter again")
    return outer, inner


def _turned(config: AdapterConfig, outer: Tensor, inner: Tensor, weight: Tensor, places: _Places) -> bool:
    """Whether the weight is stored inputs × outputs: by the shapes; where both fit (it is square) as the base's
    family stores it, and only where that is not known as the config says.
    """
    plain, turned = (outer.shape[0], inner.shape[1]), (inner.shape[1], outer.shape[0])
    if plain != turned:
        return weight.shape == turned
    known = places.by_inputs(weight)
    return bool(config.transposed) if known is None else known


def _scale(adapter: Adapter, module: str, parts: Parts, inner: Tensor) -> float:
    """What B·A is multiplied by; an α that is stored beside the factors (kohya) overrules the config's."""
    alpha = parts.get("alpha")
    if alpha is None:
        return adapter.config.scale_of(module)
    if alpha.size != 1:
        raise FormatError(f"has {alpha.size} values, expected one α", file=adapter.target.address, tensor=alpha.name)
    return float(values_of(alpha).reshape(-1)[0]) / inner.shape[0]


def _check_magnitude(adapter: Adapter, module: str, factors: Factors) -> None:
    file, magnitude = adapter.target.address, factors.magnitude
    if (magnitude is not None) != adapter.config.dora:
        message = "has no magnitude vector, though" if magnitude is None else "has a magnitude vector, which"
        says = f"{message} {CONFIG} says use_dora = {str(adapter.config.dora).lower()}"
        raise FormatError(says, file=file, tensor=factors.inner.name if magnitude is None else magnitude.name)
    if magnitude is not None and magnitude.size != factors.outer.shape[0]:
        message = f"has {magnitude.size} magnitudes for {factors.outer.shape[0]} outputs"
        raise FormatError(message, file=file, tensor=magnitude.name)


def _absent(base: Model, module: str) -> str:
    tied = module.endswith("lm_head") and base.config.get("tie_word_embeddings") is True
    why = " (its head is its embedding, tied; an update of both at once is not read)" if tied else ""
    return f"{base.address} has no tensor {escaped(module)}.weight{why}"


def _wrong(adapter: Adapter) -> str:
    named = adapter.config.base
    return f"the adapter was made for {escaped(named)}" if named else "is this the adapter's base?"


def _times(shape: Iterable[int]) -> str:
    return "×".join(map(str, shape))


def notes_on(adapter: Adapter, base: Model) -> tuple[Note, ...]:
    """What an adapter is, and whether it names another base than the one it was given."""
    ranks = Counter(
        held[key].shape[0] for held in adapter.modules.values() for key in ("a", "embedding_a") if key in held
    )
    shown = ", ".join(f"r = {rank} (× {count})" for rank, count in sorted(ranks.items()))
    told = [note("adapter_formed", address=adapter.target.address, kind=f"{adapter.config.kind}, {shown}")]
    if adapter.wholes:
        told.append(note("adapter_whole", address=adapter.target.address, count=len(adapter.wholes)))
    named = adapter.config.base
    if named is not None and os.path.basename(named.rstrip("/")) not in _names(base):
        told.append(note("adapter_base", named=escaped(named), base=base.address))
    return tuple(told)


def _names(base: Model) -> set[str]:
    parts = (base.name, base.address.partition("@")[0].rstrip("/"))
    return {os.path.basename(part) for part in parts} | {os.path.basename(os.path.abspath(base.address))}
