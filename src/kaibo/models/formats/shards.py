"""Which files of a folder hold the weights, and whether they are all there and say the same as their index.

An index (`model.safetensors.index.json`) is a stranger's list of paths: it is read strictly, and a path that leaves
the folder is refused before anything is opened. Where index and shards disagree every disagreement is listed.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote

from kaibo.documents.strict_json import WHITE, Cursor, check_utf8
from kaibo.errors import FormatError, PolicyError, escaped

SHARD = re.compile(r"(.*?)[-_.]?(\d{1,9})-of-(\d{1,9})\.(safetensors|gguf|bin|pt|pth)", re.ASCII | re.DOTALL)
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
"""Endings of files that may be pickles; those that are tensors in a ZIP archive are read by `torch_zip`."""

LISTED = 5
"""How many names of a long list an error shows."""

SHOWN_FAULTS = 40


@dataclass(frozen=True)
class Index:
    """Which shard holds each tensor, in the order of the index; `total` is what it says all tensors weigh."""

    shard_of: Mapping[str, str]
    total: int | None = None

    @property
    def shards(self) -> tuple[str, ...]:
        """The shards, sorted."""
        return tuple(sorted(set(self.shard_of.values())))

    def lost(self, shard: str) -> list[str]:
        """The tensors that are lost with a shard."""
        return [tensor for tensor, file in self.shard_of.items() if file == shard]


@dataclass(frozen=True)
class Disagreement:
    """How index and shards differ: names of tensors with what is wrong about each."""

    faults: tuple[str, ...] = field(default=())

    @property
    def sentence(self) -> str:
        """All of it in one sentence, as far as one line holds it."""
        more = f"; and {len(self.faults) - SHOWN_FAULTS} more" if len(self.faults) > SHOWN_FAULTS else ""
        shown = "; ".join(self.faults[:SHOWN_FAULTS])
        return f"the index and the shards disagree about {len(self.faults)} tensors: {shown}{more}"


def parse_index(text: bytes, file: str) -> Index:
    """The index in `text`, strictly read. Raises FormatError, and PolicyError for a path out of the folder."""
    check_utf8(text, file)
    cursor = Cursor(text, file)
    shard_of: dict[str, str] | None = None
    total: int | None = None
    for key, _ in cursor.members("index"):
        if key == "weight_map":
            shard_of = {name: cursor.string("index: weight_map") for name, _ in cursor.members("index: weight_map")}
        elif key == "metadata":
            total = _total_size(cursor)
        else:
            cursor.skip(f'index: "{escaped(key)}"')
    cursor.finish(WHITE, "index")
    if shard_of is None:
        raise FormatError("index: lacks weight_map", file=file, next="fetch the index again")
    if not shard_of:
        raise FormatError("index: weight_map lists no tensors", file=file, next="fetch the index again")
    for tensor, shard in shard_of.items():
        check_shard_name(shard, tensor, file)
    return Index(shard_of, total)


def check_shard_name(shard: str, tensor: str, file: str) -> None:
    """Raises PolicyError for a path that leaves the folder or a pickle where it has no place, FormatError for others.

    The index of `x.bin` lists files of PyTorch, every other one files of safetensors.
    """
    if escapes(shard):
        message = f'the index names the shard "{escaped(shard)}", which is no file inside the folder'
        raise PolicyError(message, file=file, tensor=tensor, next="do not trust this folder")
    of_torch = file.lower().removesuffix(".index.json").endswith(PICKLES)
    if shard.lower().endswith(PICKLES) and not of_torch:
        message = f'the index of safetensors names the shard "{escaped(shard)}", a pickle by its name'
        raise PolicyError(message, file=file, tensor=tensor, next="fetch the index again")
    parts, endings = re.split(r"[/\\]", unquote(unquote(shard))), PICKLES if of_torch else (".safetensors",)
    if "\0" in shard or "" in parts or "." in parts or not shard.endswith(endings):
        message = f'the index names the shard "{escaped(shard)}", expected a {endings[0]} file of the folder'
        raise FormatError(message, file=file, tensor=tensor, next="fetch the index again")


def escapes(path: str) -> bool:
    """Whether a path from a stranger may lead out of its folder, however it is spelled.

    >>> escapes("a/b.safetensors"), escapes("../b"), escapes("%2e%2e/b"), escapes("/dev/zero"), escapes("s3://b")
    (False, True, True, True, True)
    """
    return (
        os.path.isabs(path)
        or "\\" in path
        or ":" in path
        or ".." in re.split(r"[/\\]", unquote(unquote(path)))
        or path.startswith("~")
        or "$" in path
        or (unquote(path) != path and ("/" in unquote(path) or "\\" in unquote(unquote(path))))
    )


def _total_size(cursor: Cursor) -> int | None:
    """The one number of the metadata that can be checked; other writers put other things there."""
    begin = cursor.space()
    if cursor.text[begin : begin + 1] != b"{":
        cursor.skip("index: metadata")
        return None
    total = None
    for key, at in cursor.members("index: metadata"):
        cursor.skip("index: metadata")
        if key == "total_size":
            spelled = cursor.text[at : cursor.at].partition(b":")[2].strip()
            total = int(spelled) if spelled.isdigit() and len(spelled) < 20 else None
    return total


def missing_of_series(names: Iterable[str]) -> list[str]:
    """The shards that a series `…-00001-of-00004.safetensors` promises and `names` lacks.

    >>> missing_of_series(["model-00001-of-00003.safetensors", "model-00003-of-00003.safetensors"])
    ['model-00002-of-00003.safetensors']
    """
    there: dict[tuple[str, str, str, str], set[int]] = {}
    widths: dict[tuple[str, str, str, str], int] = {}
    for found in filter(None, map(SHARD.fullmatch, names)):
        series = (found[1], found[0][len(found[1]) : found.start(2)], found[3], found[4])
        there.setdefault(series, set()).add(int(found[2]))
        widths[series] = max(len(found[2]), widths.get(series, 0))
    absent = []
    for (stem, joint, count, ending), numbers in there.items():
        first = 0 if 0 in numbers else 1
        # The count is a stranger's number: never a list as long as it says.
        promised = range(first, first + min(int(count), len(numbers) + 100))
        absent += [
            f"{stem}{joint}{number:0{widths[stem, joint, count, ending]}d}-of-{count}.{ending}"
            for number in promised
            if number not in numbers
        ]
    return sorted(absent)


def compare(index: Index, held: Mapping[str, Sequence[str]]) -> Disagreement:
    """Where the index and what the shards hold (tensor names by shard) differ."""
    holders: dict[str, list[str]] = {}
    for shard, names in held.items():
        for name in names:
            holders.setdefault(name, []).append(shard)
    faults = []
    for tensor in sorted(set(index.shard_of) | set(holders)):
        there, expected = holders.get(tensor, []), index.shard_of.get(tensor)
        shown = f'"{escaped(tensor)}"'
        if len(there) > 1:
            faults.append(f"{shown} is in {len(there)} shards ({listed(there)})")
        elif not there:
            faults.append(f"{shown} is in no shard")
        elif expected is None:
            faults.append(f"{shown} of {escaped(there[0])} is not in the index")
        elif expected != there[0]:
            faults.append(f"{shown} is in {escaped(there[0])}, not in {escaped(expected)}")
    return Disagreement(tuple(faults))


def duplicates(held: Mapping[str, Sequence[str]]) -> list[str]:
    """Tensors that more than one file holds."""
    counts = Counter(name for names in held.values() for name in names)
    return sorted(name for name, count in counts.items() if count > 1)


def listed(names: Sequence[str], limit: int = LISTED) -> str:
    """Names for a message, the first few and how many more.

    >>> listed(["a", "b", "c"], 2)
    'a, b and 1 more'
    """
    shown = ", ".join(escaped(name) for name in names[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"
