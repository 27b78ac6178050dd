"""The page that `kaibo dissect` writes: where, over what, in which language, and with whose names in it."""

from __future__ import annotations

import html
import os
import re
from pathlib import Path
from typing import Any

import pytest

from kaibo.testing import tiny_model


def test_dissecting_twice_just_works_and_gives_the_same_bytes(kaibo: Any, tiny: str) -> None:
    first = kaibo("dissect", tiny, "--json")
    page = Path(first.document["results"][0]["page"])
    once = page.read_bytes()
    again = kaibo("dissect", tiny, "--json")
    assert (first.code, again.code) == (0, 0)
    assert page == Path("kaibo-report/tiny/index.html")
    assert page.read_bytes() == once
    assert sorted(os.listdir(page.parent)) == [".kaibo.json", "dissection.json", "index.html"]


def test_a_new_version_of_the_weights_replaces_the_page(kaibo: Any, tiny: str, tmp_path: Path) -> None:
    before = kaibo("dissect", tiny, "--json").document["results"][0]["model_id"]
    tiny_model(tmp_path / tiny, seed=9)
    ran = kaibo("dissect", tiny, "--json")
    after = ran.document["results"][0]["model_id"]
    page = Path("kaibo-report/tiny/index.html").read_text()
    assert ran.code == 0
    assert after in page
    assert before not in page


@pytest.mark.parametrize("name", ["index.html", "dissection.json"])
def test_somebody_elses_file_is_refused_until_forced(kaibo: Any, tiny: str, tmp_path: Path, name: str) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).write_text("<html>mine</html>")
    ran = kaibo("dissect", tiny, "--out", "out", "--json")
    assert ran.code == 6
    assert (tmp_path / "out" / name).read_text() == "<html>mine</html>"
    assert os.listdir(tmp_path / "out") == [name]
    assert len(ran.lines) == 1
    assert name in ran.lines[0]
    assert "--force" in ran.lines[0]
    assert kaibo("dissect", tiny, "--out", "out", "--force").code == 0
    assert "mine" not in (tmp_path / "out" / name).read_text()


def test_another_models_page_is_not_overwritten(kaibo: Any, tiny: str, tmp_path: Path) -> None:
    tiny_model(tmp_path / "other", seed=1)
    assert kaibo("dissect", tiny, "--out", "out").code == 0
    ran = kaibo("dissect", "other", "--out", "out")
    assert ran.code == 6
    assert len(ran.lines) == 1


def test_tables_and_figures_of_digits_follow_the_same_rule(kaibo: Any, tiny: str, tmp_path: Path) -> None:
    for _ in range(2):
        ran = kaibo("digits", tiny, "--table", "t.csv", "--figure", "f.svg")
        assert ran.code == 0, ran.err
    (tmp_path / "t.csv").write_text("mine\n")
    assert kaibo("digits", tiny, "--table", "t.csv").code == 6
    assert (tmp_path / "t.csv").read_text() == "mine\n"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_exit_6(kaibo: Any, tiny: str, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir(mode=0o555)
    assert kaibo("dissect", tiny, "--out", "out").code == 6


@pytest.mark.parametrize("out", ["/proc/kaibo", "file/out", "file"])
def test_an_impossible_folder_is_exit_6_and_one_line(kaibo: Any, tiny: str, tmp_path: Path, out: str) -> None:
    (tmp_path / "file").write_text("x")
    ran = kaibo("dissect", tiny, "--out", out)
    assert ran.code == 6, ran.err
    assert len(ran.lines) == 1


HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(1)",
    "../../up",
    "..",
    "a\u202eb\u2028c",
    "-rf",
    "CON",
    "　",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_folder_name_is_text_on_the_page_and_leads_nowhere(kaibo: Any, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "models" / "x" / name
    tiny_model(folder, layers=1)
    ran = kaibo("dissect", "--json", "--", str(folder))
    assert ran.code == 0, ran.err
    page = Path(ran.document["results"][0]["page"])
    assert page.resolve().parent.parent == tmp_path / "kaibo-report"
    text = page.read_text()
    assert "<img src=x" not in text
    assert "<script>alert" not in text
    assert "\u202e" not in text


@pytest.mark.parametrize("language", ["en", "ja"])
def test_the_page_is_whole_in_itself_and_says_its_language(kaibo: Any, tiny: str, language: str) -> None:
    ran = kaibo("dissect", tiny, "--lang", language, "--json")
    text = Path(ran.document["results"][0]["page"]).read_text()
    assert f'lang="{language}"' in text[:500]
    head = html.unescape(text.partition("<style")[0])
    assert "default-src 'none'" in head
    assert "unsafe-eval" not in head
    assert not re.search(r"<(?:script|link|img|iframe)[^>]+(?:src|href)\s*=\s*[\"']?(?:https?:)?//", text)
    assert len(text) < 3_000_000
    assert ("第一桁" in text or "先頭" in text) == (language == "ja")


def test_both_languages_stand_side_by_side(kaibo: Any, tiny: str) -> None:
    for language in ("en", "ja", "en"):
        assert kaibo("dissect", tiny, "--lang", language).code == 0
    assert {"index.html", "index.ja.html"} <= set(os.listdir("kaibo-report/tiny"))


def test_no_path_of_this_machine_is_on_the_page_of_a_relative_address(kaibo: Any, tiny: str, tmp_path: Path) -> None:
    kaibo("dissect", tiny)
    for file in Path("kaibo-report/tiny").iterdir():
        assert str(tmp_path) not in file.read_text()
