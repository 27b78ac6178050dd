"""Whether this machine can draw Japanese in a static picture."""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

from kaibo.errors import MissingError

JAPANESE = re.compile("[\u3040-\u30ff\u3400-\u9fff\uff66-\uff9f]")
"""Hiragana, katakana (also half-width) and ideographs."""

FOLDERS = (
    "/usr/share/fonts",
    "/usr/local/share/fonts",
    "~/.local/share/fonts",
    "~/.fonts",
    "/System/Library/Fonts",
    "/Library/Fonts",
    "~/Library/Fonts",
)
FILES = re.compile(
    r"(cjk|notosansjp|notoserifjp|ipa\w*g|ipa\w*m|takao|vlgothic|hiragino|ヒラギノ|meiryo|yugoth|mplus)", re.I
)


@cache
def japanese_font() -> str | None:
    """The name of an installed font with Japanese characters, None if none is found.

    Asks fontconfig where it is installed, else looks through the usual font folders.
    """
    return _by_fontconfig() or _by_folder()


def _by_fontconfig() -> str | None:
    program = shutil.which("fc-list")
    if program is None:
        return None
    try:
        answer = subprocess.run(
            [program, ":lang=ja", "family"], capture_output=True, timeout=10, check=False, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    families = sorted(
        line.split(",")[0] for line in answer.stdout.decode("utf-8", "replace").splitlines() if line.strip()
    )
    preferred = [name for name in families if "Sans CJK JP" in name or "Gothic" in name]
    return next(iter([*preferred, *families]), None)


def _by_folder() -> str | None:
    for folder in FOLDERS:
        root = Path(folder).expanduser()
        if root.is_dir():
            found = sorted(path.stem for path in root.rglob("*.[to]t[fc]") if FILES.search(path.name))
            if found:
                return found[0]
    return None


def required_font() -> str:
    """The same, or MissingError where no installed font can draw Japanese."""
    font = japanese_font()
    if font is None:
        raise MissingError(
            "no installed font has Japanese characters, the figure would show boxes",
            next="install one (Debian: apt install fonts-noto-cjk; Fedora: google-noto-sans-cjk-fonts), "
            "or draw with language en; the HTML page needs no font here",
        )
    return font
