"""Rows of Hugging Face `datasets`: a folder that `save_to_disk` wrote or that holds data files, and the hub."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kaibo.errors import FormatError, MissingError, NetworkError, missing_extra

DATA_FILES = {".jsonl": "json", ".json": "json", ".parquet": "parquet", ".csv": "csv", ".arrow": "arrow"}


def folder_rows(path: Path, split: str) -> Iterator[Any]:
    """The rows of a folder: one that `save_to_disk` wrote, or data files of one kind.

    Raises FormatError for a folder that holds neither, MissingError for a split that it has not.
    """
    with _reading(str(path)) as datasets:
        if (path / "dataset_dict.json").exists() or (path / "dataset_info.json").exists():
            yield from _of_split(datasets.load_from_disk(str(path)), str(path), split)
            return
        files = sorted(file for file in path.iterdir() if file.suffix.lower() in DATA_FILES)
        if not files:
            raise FormatError("holds no data set", file=path, next=f"looked for {', '.join(DATA_FILES)}")
        kind = DATA_FILES[files[0].suffix.lower()]
        same = [str(file) for file in files if DATA_FILES[file.suffix.lower()] == kind]
        found = datasets.load_dataset(kind, data_files={split: same}, streaming=True)
        yield from _of_split(found, str(path), split)


def hub_rows(address: str, split: str) -> Iterator[Any]:
    """The rows of `hf:org/name[@revision]`. Raises NetworkError when the hub does not answer."""
    name, _, revision = address.removeprefix("hf:").partition("@")
    with _reading(address) as datasets:
        try:
            found = datasets.load_dataset(name, revision=revision or None, split=split)
        except (OSError, datasets.exceptions.DatasetNotFoundError) as problem:
            said = str(problem).splitlines()[0]
            raise NetworkError(
                f"cannot be fetched ({said})", file=address, next="name a local file instead"
            ) from problem
        yield from found


def _of_split(found: Any, path: str, split: str) -> Iterator[Any]:
    if isinstance(found, dict):
        if split not in found:
            raise MissingError(f"has no split {split}", file=path, next=f"splits: {', '.join(found)}")
        found = found[split]
    yield from found


@contextlib.contextmanager
def _reading(where: str) -> Iterator[Any]:
    """The `datasets` package without its bars; what it raises on damaged files is a FormatError."""
    try:
        import datasets
    except ImportError as problem:
        raise missing_extra("train", "folders of datasets") from problem
    datasets.disable_progress_bars()
    try:
        yield datasets
    except (ValueError, RuntimeError, datasets.exceptions.DatasetsError) as problem:
        said = str(problem).splitlines()[0] if str(problem) else type(problem).__name__
        raise FormatError(f"cannot be read as a data set ({said})", file=where) from problem
