"""All five studies in their small form on a nursery: time, memory, how large a page is, and when it shows a picture.

`KAIBO_NURSERY` names a nursery (`kaibo nursery DIR` makes one), else `demo/nursery` is used where `make studies` left
it; without either a small one is made first, which takes some minutes and is not counted.
"""

from __future__ import annotations

import os
import shutil
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.harness import Figure, kaibo, process

LIMIT, MEMORY, PAGE, FIRST = 180, 3072, 3_000_000, 1.0
OPENED = 5
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
WATCH = """
new MutationObserver((_, seen) => {
  if (document.querySelector('.chart svg.marks, .chart canvas')) {
    window.drawn ??= performance.now();
    seen.disconnect();
  }
}).observe(document, {childList: true, subtree: true});
"""
"""Notes when the first picture stands in the document, in milliseconds since navigation began."""


def figures(folder: Path) -> Iterator[Figure]:
    """The five studies from an empty store, then each page as a browser opens it from disk."""
    nursery, pages = found_nursery(folder), folder / "pages"
    given = ["--manifest", str(nursery / "nursery.json"), "--text", str(nursery / "data" / "held-out-en.txt")]
    took = process(kaibo("study", "run", "all", "--small", *given, "--store", str(folder / "s"), "--out", str(pages)))
    yield _limit("all five studies, small: time", took.seconds, LIMIT, "s", f"{took.seconds:.0f} s")
    yield _limit("all five studies, small: peak memory", took.peak, MEMORY, "MiB", f"{took.peak:.0f} MiB")
    sizes = {path.stem: path.stat().st_size for path in pages.glob("*.html")}
    largest = max(sizes, key=lambda name: sizes[name])
    yield _limit("page of a study: size", sizes[largest], PAGE, "bytes", f"{largest}, {sizes[largest] / 1e6:.2f} MB")
    shown = first_pictures(pages)
    if shown:
        slowest = max(shown, key=lambda name: shown[name])
        seen = f"{slowest}; median of {OPENED}, from navigation to the first picture in the document"
        yield _limit("page of a study: first picture", shown[slowest], FIRST, "s", seen)


def found_nursery(folder: Path) -> Path:
    """The nursery that is there, or a small one made now."""
    named = Path(os.environ.get("KAIBO_NURSERY", Path(__file__).parents[1] / "demo" / "nursery"))
    if (named / "nursery.json").is_file():
        return named
    process(kaibo("nursery", str(folder / "nursery")))
    return folder / "nursery"


def first_pictures(pages: Path) -> dict[str, float]:
    """Median seconds to the first picture of each page; nothing where Chromium or playwright is missing."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return {}
    if browser is None:
        return {}
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=browser, args=FLAGS)
        drawn = [path for path in sorted(pages.glob("*.html")) if 'class="chart"' in path.read_text(encoding="utf-8")]
        found = {path.stem: _first_picture(chromium, path) for path in drawn}
        chromium.close()
    return found


def _first_picture(chromium: Any, path: Path) -> float:
    times = []
    for _ in range(OPENED):
        tab = chromium.new_page()
        tab.add_init_script(WATCH)
        tab.goto(path.as_uri())
        tab.wait_for_selector("html[data-drawn]")  # the page's policy forbids to wait for an expression
        times.append(float(tab.evaluate("window.drawn")) / 1000)
        tab.close()
    return statistics.median(times)


def _limit(name: str, value: float, limit: float, unit: str, seen: str) -> Figure:
    return Figure(name, "a fixed limit", value, unit, f"<= {limit:g}", value <= limit, seen)
