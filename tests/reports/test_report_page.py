import base64
import hashlib
import html
import json
import re
import shutil
import time

import pytest
import sample_findings as sample

from kaibo.chapters import kinds
from kaibo.chapters.dissect.sentences import sentence
from kaibo.reports.facts import facts, without_folders
from kaibo.reports.page import facts_section, json_block, page, section, sentences_section
from kaibo.vocabulary import Finding

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]


def whole_page(model="/home/ann lee/models/gemma", language="en", tensors=30, name="layers.{}.attention.q"):
    of = [sample.renamed(finding, model) for finding in (
        sample.inspected(), sample.digits(), sample.digits_by_tensor(tensors, name), sample.profile(12, 8),
        sample.magnitudes(), sample.stats(1, "model"), sample.stats(tensors, "tensor", name),
    )]  # fmt: skip
    inspected, digits, by_tensor, profile, magnitudes, whole, tensor_stats = of
    noted = Finding(kinds()["stats"], whole.rows, notes=(f"bounds of {model} in /home/ann/x.safetensors",))
    sentences = [
        sentence("tails", {"tensor": name, "kurtosis": 12.0, "sigmas": 6, "beyond": 1e-4, "expected": 2e-9}, language)
    ]
    return page(
        [
            facts_section(facts(inspected.rows[0], language), language),
            sentences_section(sentences, language),
            section(inspected, language),
            section([digits, by_tensor], language),
            section(profile, language),
            section(magnitudes, language),
            section([noted, tensor_stats], language),
        ],
        title=model.split("/")[-1] if model.startswith("/") else model,
        language=language,
        provenance={
            "models": {model: "0123456789abcdef"},
            "kaibo": "0.2.0",
            "command": ["kaibo", "dissect", model, "--out=/home/ann/out", "--store", "~ann/store"],
            "settings": {"seed": 0, "store": "/home/ann/store"},
        },
    )


def without_scripts(text):
    return re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)


def test_the_same_input_gives_the_same_page():
    assert whole_page() == whole_page()


def test_a_page_of_300_tensors_and_six_charts_is_under_three_megabytes():
    assert len(whole_page(tensors=300, language="ja").encode()) < 3_000_000


def test_the_policy_names_exactly_the_scripts_of_the_page():
    text = whole_page()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]
    scripts = re.findall(r"<script>(.*?)</script>", text, flags=re.DOTALL)
    hashes = {f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" for script in scripts}
    directives = dict(part.strip().split(" ", 1) for part in html.unescape(policy).split(";"))
    assert set(directives["script-src"].split()) == hashes
    assert directives["default-src"] == "'none'"
    assert (directives["base-uri"], directives["form-action"]) == ("'none'", "'none'")
    assert "unsafe-eval" not in policy


def test_a_page_tells_nobody_where_it_was_made():
    text = without_scripts(whole_page())
    links = [base64.b64decode(found).decode() for found in re.findall(r"base64,([A-Za-z0-9+/=]+)", text)]
    assert links
    for part in (text, *links):
        assert "/home" not in part
        assert "ann" not in part.replace("scanned", "").replace("channel", "").replace("cannot", "")
    assert "gemma" in text


def test_every_table_can_be_downloaded_with_full_precision():
    text = whole_page()
    names = re.findall(r'download="([^"]*)"', text)
    assert "kaibo-digits-by-model.csv" in names
    csv = base64.b64decode(re.search(r'base64,([A-Za-z0-9+/=]+)" download="kaibo-digits-by-model', text)[1]).decode()
    assert repr(sample.digits().rows[0].shares[0]) in csv


def test_a_page_without_figures_has_no_script():
    text = page([facts_section([("a", "<b>")])], title="x")
    assert "<script" not in text
    assert "&lt;b&gt;" in text


@pytest.mark.parametrize("language", ["en", "ja"])
def test_a_page_reads_without_javascript(language):
    text = without_scripts(whole_page(language=language))
    assert f'<html lang="{language}">' in text
    assert "<noscript>" in text
    assert text.count("<figcaption>") == text.count('role="img"') == 7
    assert "0.3" in text


def test_data_blocks_cannot_end_early():
    hostile = json_block({sample.HOSTILE: "\u2029&\udcff"})
    assert not set("<>&\u2028\u2029") & set(hostile)
    assert list(json.loads(hostile)) == [sample.HOSTILE]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("in /home/ann/x y", "in x y"),
        (r"C:\Users\ann\gemma", "gemma"),
        ("~/models/gemma", "gemma"),
        ("file:///srv/a", "a"),
        ("hf:org/name and 1/2", "hf:org/name and 1/2"),
        ("./gemma", "./gemma"),
        ("https://example.org/a/b", "https://example.org/a/b"),
    ],
)
def test_paths_lose_their_folders(text, said):
    assert without_folders(text) == said


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    api = pytest.importorskip("playwright.sync_api")
    with api.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


def opened(browser, path, **options):
    context = browser.new_context(**options)
    tab = context.new_page()
    tab.seen, tab.requests = [], []
    tab.on("console", lambda message: tab.seen.append(message.text))
    tab.on("pageerror", lambda error: tab.seen.append(str(error)))
    tab.on("dialog", lambda dialog: tab.seen.append(dialog.message))
    tab.on("request", lambda request: tab.requests.append(request.url))
    tab.goto(path.as_uri())
    return tab


@pytest.mark.chromium
@pytest.mark.parametrize("language", ["en", "ja"])
@pytest.mark.parametrize("model", ["/home/ann/gemma", sample.HOSTILE])
def test_the_page_draws_every_chart_runs_nothing_else_and_asks_nobody(browser, tmp_path, model, language):
    path = tmp_path / "page.html"
    path.write_text(whole_page(model, language, name="{}" + sample.HOSTILE.replace("{{7*7}}", "")), encoding="utf-8")
    start = time.monotonic()
    tab = opened(browser, path)
    tab.wait_for_selector(".chart svg.marks")
    assert time.monotonic() - start < 10
    tab.wait_for_selector("html[data-drawn]")
    assert tab.seen == []
    assert tab.requests == [path.as_uri()]
    assert tab.locator(".chart svg.marks").count() == tab.locator(".chart").count() == 7
    assert tab.evaluate("window.hacked") is None
    assert tab.locator("img").count() == 0
    assert "onerror=" in tab.locator("main").inner_text()
    assert tab.evaluate("document.documentElement.lang") == language
    tab.context.close()


@pytest.mark.chromium
def test_a_chart_answers_the_pointer_under_the_policy(browser, tmp_path):
    path = tmp_path / "page.html"
    path.write_text(whole_page(sample.HOSTILE), encoding="utf-8")
    tab = opened(browser, path)
    tab.wait_for_selector("html[data-drawn]")
    tab.locator("#figure-digits-digits .mark-rect.role-mark path").first.hover()
    tab.wait_for_selector("#vg-tooltip-element.visible")
    tab.locator("#figure-profile-std .role-legend-symbol path").first.click()
    tab.wait_for_timeout(100)
    assert tab.seen == []
    assert tab.evaluate("window.hacked") is None
    tab.context.close()


@pytest.mark.chromium
def test_without_javascript_the_tables_are_there_with_a_hint(browser, tmp_path):
    path = tmp_path / "page.html"
    path.write_text(whole_page(), encoding="utf-8")
    tab = opened(browser, path, java_script_enabled=False)
    text = tab.locator("main").inner_text()
    assert "need JavaScript" in text
    assert "nonconformity" in text
    tab.context.close()


@pytest.mark.chromium
def test_a_csv_link_downloads_the_table(browser, tmp_path):
    path = tmp_path / "page.html"
    path.write_text(whole_page(), encoding="utf-8")
    tab = opened(browser, path)
    with tab.expect_download() as started:
        tab.locator('a[download="kaibo-stats-by-tensor.csv"]').click()
    assert started.value.path().read_text(encoding="utf-8").startswith("model,by,key")
    tab.context.close()


@pytest.mark.chromium
@pytest.mark.parametrize("width", [320, 1100])
def test_the_page_is_never_wider_than_the_window(browser, tmp_path, width):
    path = tmp_path / "page.html"
    path.write_text(whole_page(language="ja"), encoding="utf-8")
    tab = opened(browser, path, viewport={"width": width, "height": 800})
    tab.wait_for_selector("html[data-drawn]")
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    tab.context.close()
