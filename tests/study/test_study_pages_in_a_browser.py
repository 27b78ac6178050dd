"""The pages of all studies in headless Chromium: drawn, silent, asking nobody, and taking names for text."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kaibo.study import shipped

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
HOSTILE = "<img src=x onerror=alert(1)>"
OF_MODELS = ("benford", "task_vectors", "trajectories")
"""Studies whose pages name the models that were given."""

pytestmark = [pytest.mark.chromium, pytest.mark.slow]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    api = pytest.importorskip("playwright.sync_api")
    with api.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


def opened(browser: Any, path: Path) -> Any:
    """A tab in which the page has drawn all it has, with everything that it said and asked for meanwhile."""
    tab = browser.new_page(viewport={"width": 1100, "height": 900})
    tab.said, tab.asked = [], []
    tab.on("console", lambda message: tab.said.append(f"{message.type}: {message.text}"))
    tab.on("pageerror", lambda error: tab.said.append(str(error)))
    tab.on("dialog", lambda dialog: tab.said.append(f"dialog: {dialog.message}"))
    tab.on("request", lambda request: tab.asked.append(request.url))
    tab.goto(path.as_uri())
    if tab.locator(".chart").count():
        tab.wait_for_selector("html[data-drawn]")
    return tab


@pytest.mark.parametrize("language", ["en", "ja"])
@pytest.mark.parametrize("name", ["index", *shipped()])
def test_a_page_of_studies_draws_its_figures_says_nothing_and_asks_nobody(
    browser: Any, study_pages: Any, name: str, language: str
) -> None:
    path = study_pages.folders[language] / f"{name}.html"
    tab = opened(browser, path)
    assert tab.said == []
    assert tab.asked == [path.as_uri()]
    charts = tab.locator(".chart").count()
    drawn = tab.evaluate(
        "[...document.querySelectorAll('.chart svg.marks')].map(one => one.querySelectorAll('path, text').length)"
    )
    assert charts > 0
    assert len(drawn) == charts
    assert min(drawn) > 3
    assert tab.locator("html").get_attribute("lang") == language
    assert path.stat().st_size < 3_000_000
    tab.close()


@pytest.mark.parametrize("language", ["en", "ja"])
@pytest.mark.parametrize("name", ["index", *shipped()])
def test_names_of_strangers_are_text_and_no_page_is_wider_than_a_phone(
    browser: Any, study_pages: Any, name: str, language: str
) -> None:
    tab = opened(browser, study_pages.folders[language] / f"{name}.html")
    assert tab.locator("img").count() == 0
    assert tab.locator("main script, header script").count() == 0
    if name in OF_MODELS:
        assert HOSTILE in tab.locator("body").text_content()
    for width in (1100, 390):
        tab.set_viewport_size({"width": width, "height": 900})
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
    tab.close()


def test_all_studies_ran_without_a_failure_in_both_languages(study_pages: Any) -> None:
    assert study_pages.codes == {"en": 0, "ja": 0}
