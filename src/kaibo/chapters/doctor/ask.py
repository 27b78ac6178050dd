"""`kaibo doctor`: is everything here that kaibo needs, and what would installing more give?"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
from collections.abc import Iterator

from kaibo.chapters.doctor.rows import DOCTOR, CheckRow
from kaibo.collect import granted_workers
from kaibo.desk.measuring import open_store
from kaibo.errors import KaiboError
from kaibo.version import __version__
from kaibo.vocabulary import Finding

CORE = (
    "numpy",
    "numba",
    "xxhash",
    "pyarrow",
    "duckdb",
    "scipy",
    "typer",
    "rich",
    "jinja2",
    "altair",
    "vl-convert-python",
)
EXTRAS = {
    "hub": ("huggingface_hub",),
    "remote": ("obstore",),
    "frames": ("pandas",),
    "ray": ("ray",),
    "tables": ("openpyxl",),
    "merge": ("pyyaml",),
    "torch": ("torch", "transformers", "tokenizers"),
    "train": ("accelerate", "bitsandbytes", "datasets", "peft", "trl"),
    "eval": ("lm_eval",),
}
"""What each extra brings, by the names that package indexes know."""


def doctor(store: str | os.PathLike[str] | None = None) -> Finding[CheckRow]:
    """Versions, extras, fonts for Japanese figures, the kernels' cache, workers, the store."""
    rows = (*_versions(), *_extras(), _fonts(), _cache(), _workers(), _sandbox(), _store(store))
    return Finding(DOCTOR, rows, (), {"kaibo": __version__})


def _versions() -> Iterator[CheckRow]:
    yield CheckRow("kaibo", True, __version__)
    python = platform.python_version()
    new = sys.version_info >= (3, 11)
    yield CheckRow("python", new, python, None if new else "Python 3.11 or newer is needed")
    for name in CORE:
        version = _version(name)
        yield CheckRow(name, version is not None, version or "missing", None if version else "pip install kaibo")


def _extras() -> Iterator[CheckRow]:
    for extra, packages in EXTRAS.items():
        here = [name for name in packages if _version(name) is not None]
        found = ", ".join(f"{name} {_version(name)}" for name in here) or "not installed"
        complete = len(here) == len(packages)
        yield CheckRow(f"extra {extra}", complete, found, None if complete else f'pip install "kaibo[{extra}]"')


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _fonts() -> CheckRow:
    from kaibo.figures.fonts import japanese_font

    font = japanese_font()
    advice = "install a font with Japanese letters, such as Noto Sans CJK, for static figures in Japanese"
    return CheckRow("Japanese font", font is not None, font or "none found", None if font else advice)


def _cache() -> CheckRow:
    import warnings

    from kaibo.vocabulary.compiling import cache_folder

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        folder = cache_folder()
    return CheckRow(
        "kernel cache", folder is not None, str(folder or "nowhere writable"), None if folder else "set KAIBO_CACHE"
    )


def _workers() -> CheckRow:
    try:
        return CheckRow("workers", True, str(granted_workers()))
    except KaiboError as error:
        return CheckRow("workers", False, error.message, error.next)


def _sandbox() -> CheckRow:
    from kaibo.sandbox import chosen
    from kaibo.sandbox.choosing import PROBES

    try:
        way = chosen()
    except KaiboError as error:
        return CheckRow("sandbox", False, error.message, error.next)
    return CheckRow("sandbox", True, f"{way.name}; a sample did not reach {', '.join(PROBES)}")


def _store(path: str | os.PathLike[str] | None) -> CheckRow:
    folder = open_store(path).path
    place = folder if folder.exists() else folder.absolute().parent
    writable = os.access(place, os.W_OK)
    free = shutil.disk_usage(place).free if place.exists() else 0
    found = f"{folder} ({free / 2**30:.1f} GiB free{'' if writable else ', not writable'})"
    return CheckRow("store", writable, found, None if writable else "name another with --store or KAIBO_STORE")
