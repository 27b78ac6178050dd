"""`make docs`: the documents as a site in `build/site`, English and Japanese; from disk it opens without its search.

README and CHANGELOG become pages of it, a link to a file that is no page leads to the repository, and a link or an
anchor that leads nowhere ends the build.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
STAGED = ROOT / "build" / "docs"
PAGES = {"README.md": "index.md", "README.ja.md": "index.ja.md", "CHANGELOG.md": "changes.md"}
REPOSITORY = "https://github.com/kaibo-dev/kaibo/blob/main"
LINK = re.compile(r"(\]\()(?!https?:|#|mailto:)([^)\s#]+)")


def page_of(path: Path) -> str | None:
    """Where a file of the repository lies in the site; None for one that is no part of it."""
    name = path.relative_to(ROOT).as_posix()
    return PAGES.get(name, name.removeprefix("docs/") if name.startswith("docs/") and path.suffix != ".py" else None)


def staged(path: Path, page: str) -> str:
    """A document with its links as they are in the site."""

    def moved(found: re.Match[str]) -> str:
        target = (path.parent / found[2]).resolve()
        there = page_of(target)
        if there is None:
            return f"{found[1]}{REPOSITORY}/{target.relative_to(ROOT).as_posix()}"
        return found[1] + os.path.relpath(there, os.path.dirname(page) or ".")

    return LINK.sub(moved, path.read_text(encoding="utf-8"))


def stage() -> None:
    """Writes what the site is built from into `build/docs`."""
    shutil.rmtree(STAGED, ignore_errors=True)
    shutil.copytree(ROOT / "docs", STAGED, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    for path in [*(ROOT / name for name in PAGES), *(ROOT / "docs").rglob("*.md")]:
        page = page_of(path)
        assert page is not None, path
        (STAGED / page).write_text(staged(path, page), encoding="utf-8")


if __name__ == "__main__":
    stage()
    sys.exit(subprocess.run([sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet"], cwd=ROOT).returncode)
