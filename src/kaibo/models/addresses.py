"""Addresses: how a model is named, and where that leads, on this machine or far away.

`./folder`, `file.safetensors`, a folder of a Hugging Face cache, `hf:org/name@revision`, `https://host/folder`. What
an address names is found by looking at names and links only; files are opened later, and only inside the folder.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePath
from urllib.parse import unquote

from kaibo.errors import FormatError, KaiboError, MissingError, PolicyError, UsageError
from kaibo.models.places import Far, Place
from kaibo.models.places.folder import LocalFile
from kaibo.words import Note, note

_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.\-]*/[A-Za-z0-9][\w.\-]*")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]+):")
_CACHE_FOLDER = re.compile(r"models--(.+?)--(.+)")
_REVISION = re.compile(r"[A-Za-z0-9_][\w.\-]{0,254}")
_REVISION_AND_FILE = re.compile(r"((?:refs/[^/]+/)?[^/]+)/(.+)", re.DOTALL)
WEB, OBJECTS = ("http", "https"), ("s3", "gs", "az")
"""Kinds of address that lead far away, beside `hf:`: of the web, and of object stores."""

FILES = (".safetensors", ".gguf", ".bin", ".pt", ".pth", ".ckpt", ".onnx", ".json")
"""How an address far away ends that names one file."""


@dataclass(frozen=True)
class Target:
    """What an address leads to: a folder, or one file (`file` is its name there).

    `shown` is the folder as the user gave it and `root` the same with links resolved; `name` is what tables join
    on. `blobs` is the other folder that links may lead to, where `root` is in a Hugging Face cache. `far` is the folder
    where it does not lie on this machine; `root` is then empty.
    """

    address: str
    name: str
    shown: str
    root: str
    file: str | None = None
    notes: tuple[Note, ...] = ()
    blobs: str | None = None
    far: Far | None = None

    def path(self, name: str) -> str:
        """A file of the folder, as a message names it."""
        return name if self.shown == "" else os.path.join(self.shown, name)

    def names(self) -> list[str]:
        """The files of the folder, sorted; of one far away those that are known to be there.

        Raises MissingError where the folder cannot be listed.
        """
        try:
            return sorted(os.listdir(self.root) if self.far is None else self.far.listed())
        except OSError as problem:
            raise MissingError("the folder cannot be listed", file=self.address) from problem

    def has(self, name: str) -> bool:
        """Whether something of that name is in the folder. Raises as `inside` does; far away as asking does."""
        return os.path.lexists(self.inside(name)) if self.far is None else self.far.has(name)

    def inside(self, name: str) -> str:
        """The resolved path of a file of the folder. Opens nothing.

        Links may stay in the folder or lead to the blobs of the Hugging Face cache that the folder is part of.
        Raises PolicyError for any other link and for a link that leads to itself; a file that is not there is
        no error yet. Raises MissingError for a folder far away.
        """
        if self.far is not None:
            message = "lies far away, and this needs its files on this machine"
            raise MissingError(message, file=self.path(name), next="download the folder and name it")
        path = os.path.join(self.root, name)
        real = os.path.realpath(path)
        if os.path.islink(real):
            raise PolicyError("is a link that leads back to itself", file=self.path(name))
        if not any(_within(real, home) for home in (self.root, self.blobs) if home):
            message = "is a link out of the model's folder, which is not followed"
            raise PolicyError(message, file=self.path(name), next="copy the file into the folder, or name it itself")
        return real

    def opened(self, name: str) -> Place:
        """A file of the folder, opened. Raises PolicyError as `inside` does, MissingError where it is not there."""
        if self.far is not None:
            return self.far.opened(name)
        return LocalFile(os.path.join(self.root, name), name=self.path(name), real=self.inside(name))


def text_of(address: str | os.PathLike[str]) -> str:
    """The address as text. Raises UsageError for one that names nothing."""
    text = os.fsdecode(os.fspath(address))
    if not text or "\0" in text:
        raise UsageError(f"{text!r} is no address", next="give a folder, a file or hf:org/name")
    return text


def local_target(address: str, path: str | None = None, name: str | None = None) -> Target:
    """Where a local address leads. `path` and `name` stand in for it when a hub address was fetched there.

    Raises MissingError for what is not there, UsageError for kinds of address that this version does not read.
    """
    where = address if path is None else path
    try:
        real = os.path.realpath(where, strict=True)
        folder = os.path.isdir(real)
        if folder:
            os.scandir(real).close()
    except OSError as problem:
        raise _absent(address, problem) from problem
    if folder:
        return _folder_target(address, where, real, name)
    shown, file = os.path.split(where)
    root = os.path.realpath(shown or ".")
    return Target(address, name or _file_name(where), shown, root, file, blobs=_blobs_of(root))


def hub_parts(address: str) -> tuple[str, str | None, str | None]:
    """The repository, the revision and the file of `hf:org/name[@revision][/file]`.

    >>> hub_parts("hf:org/name@main"), hub_parts("hf:org/name@v1/sub/a.gguf"), hub_parts("hf:org/name/a.gguf")
    (('org/name', 'main', None), ('org/name', 'v1', 'sub/a.gguf'), ('org/name', None, 'a.gguf'))
    """
    repository, _, revision = address.removeprefix("hf:").partition("@")
    file = None
    if revision.lower().endswith(FILES) and (found := _REVISION_AND_FILE.fullmatch(revision)):
        revision, file = found.groups()
    elif repository.lower().endswith(FILES) and repository.count("/") > 1:
        owner, name, file = repository.split("/", 2)
        repository = f"{owner}/{name}"
    known = _HUB_NAME.fullmatch(repository) or re.fullmatch(r"[A-Za-z0-9][\w.\-]*", repository)
    if not known or ".." in repository or ("@" in address and not revision) or ".." in (file or "").split("/"):
        next_step = "write hf:org/name, hf:org/name@revision or hf:org/name/file.gguf"
        raise UsageError("is no hub address", file=address, next=next_step)
    return repository, revision or None, file


def name_of_folder(path: str) -> str:
    """What tables join on: the folder's name, or the repository of a Hugging Face cache folder.

    >>> name_of_folder("/cache/models--org--tiny/snapshots/0a1b")
    'org/tiny'
    """
    parts = PurePath(os.path.abspath(path)).parts
    cached = parts[-3] if len(parts) > 2 and parts[-2] == "snapshots" else parts[-1]
    found = _CACHE_FOLDER.fullmatch(cached)
    return f"{found[1]}/{found[2]}" if found else parts[-1]


def _file_name(path: str, home: str | None = None) -> str:
    """The name of a model that is one file: the file's own, of the usual names its folder's."""
    stem, _ = os.path.splitext(os.path.basename(path))
    generic = re.fullmatch(r"model|config|pytorch_model|consolidated|model\.safetensors\.index|model-\d+-of-\d+", stem)
    if not generic:
        return stem
    return name_of_folder(os.path.dirname(os.path.abspath(path))) if home is None else home.rpartition("/")[2]


def _folder_target(address: str, where: str, real: str, name: str | None) -> Target:
    found = _CACHE_FOLDER.fullmatch(os.path.basename(real))
    snapshots = os.path.join(real, "snapshots")
    if not found or not os.path.isdir(snapshots):
        return Target(address, name or name_of_folder(where), where, real, blobs=_blobs_of(real))
    revision = _cached_revision(real, snapshots)
    if revision is None or os.path.islink(os.path.join(snapshots, revision)):
        raise MissingError("holds no snapshot that refs/main names", file=address, next="name a folder of snapshots/")
    shown = os.path.join(where, "snapshots", revision)
    root = os.path.join(snapshots, revision)
    return Target(
        address,
        f"{found[1]}/{found[2]}",
        shown,
        root,
        notes=(note("cached_snapshot", revision=revision),),
        blobs=_blobs_of(root),
    )


def _cached_revision(real: str, snapshots: str) -> str | None:
    main = os.path.join(real, "refs", "main")
    try:
        ref = LocalFile(main, real=main)
        revision = ref.read(0, min(ref.size, 256)).decode("ascii").strip()
    except (KaiboError, ValueError):
        there = sorted(os.listdir(snapshots))
        revision = there[0] if len(there) == 1 else ""
    known = _REVISION.fullmatch(revision) and os.path.isdir(os.path.join(snapshots, revision))
    return revision if known else None


def _blobs_of(root: str) -> str | None:
    """The folder of blobs, where `root` is a snapshot in a Hugging Face cache."""
    snapshots, repository = os.path.dirname(root), os.path.dirname(os.path.dirname(root))
    cached = os.path.basename(snapshots) == "snapshots" and _CACHE_FOLDER.fullmatch(os.path.basename(repository))
    return os.path.join(repository, "blobs") if cached else None


def _within(path: str, home: str) -> bool:
    return path == home or path.startswith(home.rstrip(os.sep) + os.sep)


def scheme_of(address: str) -> str:
    """The scheme of an address that leads far away (`hf`, or one of `WEB` and `OBJECTS`); "" for one of this machine.

    Raises UsageError for one of a kind that is not read.

    >>> scheme_of("hf:org/name"), scheme_of("https://host/folder"), scheme_of("./folder")
    ('hf', 'https', '')
    """
    scheme = _SCHEME.match(address)
    if scheme is None or os.path.lexists(address):
        return ""
    kind, slashes = scheme[1].lower(), address[scheme.end() :].startswith("//")
    if kind == "hf" or (slashes and kind in (*WEB, *OBJECTS)):
        return kind
    if slashes or kind == "file":
        next_step = "give a folder, a file, hf:org/name, https://host/folder or s3://bucket/folder"
        raise UsageError(f"unknown kind of address {kind}:", file=address, next=next_step)
    return ""


def web_target(address: str, folder: Callable[[str], Far]) -> Target:
    """Where an address of the web or an object store leads; `folder` opens the folder that it names, or lies in."""
    home, file = address.rstrip("/"), None
    if home.lower().endswith(FILES):
        home, _, file = home.rpartition("/")
    name = unquote(home.rpartition("/")[2]) if file is None else _file_name(unquote(file), unquote(home))
    return Target(address, name, home, "", file, far=folder(home))


def hub_target(address: str, repository: Callable[[str, str | None], Far]) -> Target:
    """Where an address of the hub leads; `repository` opens what it names at a revision."""
    name, revision, file = hub_parts(address)
    shown = f"hf:{name}" + (f"@{revision}" if revision else "")
    known = name if file is None else _file_name(file, name)
    return Target(address, known, shown, "", file, far=repository(name, revision))


def _absent(address: str, problem: OSError) -> MissingError | PolicyError | FormatError:
    if os.path.islink(address) and isinstance(problem, FileNotFoundError):
        return MissingError("is a link to something that is not there", file=address)
    if isinstance(problem, FileNotFoundError | NotADirectoryError):
        if _HUB_NAME.fullmatch(address):
            return MissingError("no such file or folder", file=address, next=f"did you mean hf:{address}?")
        return MissingError("no such file or folder", file=address, next="is the path right?")
    reason = os.strerror(problem.errno) if problem.errno else str(problem)
    return MissingError(f"cannot be read: {reason}", file=address)
