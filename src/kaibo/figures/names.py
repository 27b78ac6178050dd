"""Names that people can read: short, told apart, and without the folders of the person who made the picture."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from urllib.parse import urlsplit

from kaibo.errors import escaped

PART_OF_A_RUN = re.compile(
    r"merged|final|best|last|latest|model|weights|(?:global_step|step|checkpoint|ckpt|iter|epoch)[-_=]?[0-9]{1,12}[kKmM]?"
)
"""Folders whose name says which part of a run they are, and not of which run."""
SCHEME = re.compile(r"^(https?|s3)://")


def model_name(address: str) -> str:
    """What to call the model under an address: `org/name` on the hub, else the last part of the path, after its run
    where that part only says which checkpoint it is.

    Folders above it, credentials and queries of a URL are left out, so that a page can be given away.

    >>> model_name("/home/ann/models/gemma/"), model_name("hf:org/name@main"), model_name("./x.safetensors")
    ('gemma', 'org/name@main', 'x.safetensors')
    >>> model_name("/home/ann/nursery/sft-role-play-42/merged"), model_name("runs/a/step-450")
    ('sft-role-play-42/merged', 'a/step-450')
    >>> model_name("/home/ann/.cache/hub/models--org--name/snapshots/0f3e")
    'org/name'
    >>> model_name("https://user:secret@example.com/a/model.safetensors?token=x")
    'model.safetensors'
    """
    cached = _cached(address.split("/"))
    if cached:
        return escaped(cached)
    if address.startswith("hf:"):
        return escaped(address[3:])
    if SCHEME.match(address):
        try:
            address = urlsplit(address).path
        except ValueError:
            address = address.split("?")[0].split("#")[0]
    parts = [part for part in re.split(r"[/\\]", address) if part not in ("", ".", "..", "~")]
    if not parts:
        return "model"
    return escaped("/".join(parts[-2:] if PART_OF_A_RUN.fullmatch(parts[-1]) else parts[-1:]))


def _cached(parts: Sequence[str]) -> str:
    """`org/name` where a path leads through a folder of the hub's cache, else nothing."""
    for folder, below in pairwise(parts):
        org, separator, name = folder.removeprefix("models--").partition("--")
        if below == "snapshots" and folder.startswith("models--") and org and separator and name:
            return f"{org}/{name}"
    return ""


def model_names(addresses: Iterable[str]) -> Mapping[str, str]:
    """A name for each address, numbered where two would be the same.

    >>> dict(model_names(["/a/gemma", "/b/gemma", "hf:org/llama"]))
    {'/a/gemma': 'gemma (1)', '/b/gemma': 'gemma (2)', 'hf:org/llama': 'org/llama'}
    """
    unique = list(dict.fromkeys(addresses))
    names = {address: model_name(address) for address in unique}
    shared = {name for name, times in Counter(names.values()).items() if times > 1}
    seen: Counter[str] = Counter()
    for address in unique:
        if names[address] in shared:
            seen[names[address]] += 1
            names[address] = f"{names[address]} ({seen[names[address]]})"
    return names


def short(text: object, limit: int = 36) -> str:
    """A name cut in its middle to `limit` characters; both ends of a tensor's name tell it apart.

    >>> short("model.layers.11.self_attn.q_proj.weight", 21)
    'model.laye…roj.weight'
    """
    spelled = escaped(text, 4000)
    if len(spelled) <= limit:
        return spelled
    head = (limit - 1) // 2
    return f"{spelled[:head]}…{spelled[len(spelled) - (limit - 1 - head) :]}"


def distinct(texts: Iterable[str], limit: int = 36) -> list[str]:
    """The same cut, numbered where two texts would look the same; one for each text, in order."""
    given = list(texts)
    cut = {text: short(text, limit) for text in given}
    looks = Counter(cut.values())
    seen: Counter[str] = Counter()
    for text, look in list(cut.items()):
        if looks[look] > 1:
            seen[look] += 1
            cut[text] = f"{short(text, limit - 5)} ({seen[look]})"
    return [cut[text] for text in given]


def labels_of(addresses: Iterable[str], limit: int = 40) -> dict[str, str]:
    """What to write beside each model: its name, cut to `limit` characters and told apart.

    >>> labels_of(["/a/gemma", "hf:org/llama"])
    {'/a/gemma': 'gemma', 'hf:org/llama': 'org/llama'}
    """
    names = model_names(addresses)
    return dict(zip(names, distinct(names.values(), limit), strict=True))
