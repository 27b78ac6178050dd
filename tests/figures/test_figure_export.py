import os

import pytest
import sample_findings as sample

from kaibo.errors import MissingError, StorageError, UsageError
from kaibo.figures import figure, fonts, render, save

needs_font = pytest.mark.skipif(fonts.japanese_font() is None, reason="no font with Japanese characters is installed")


@pytest.mark.parametrize(("name", "begins"), [("x.svg", b"<svg"), ("x.png", b"\x89PNG\r\n\x1a\n"), ("x.PDF", b"%PDF")])
def test_a_chart_is_saved_in_the_format_its_ending_names(tmp_path, name, begins):
    save(figure(sample.digits()), tmp_path / "new" / name)
    assert (tmp_path / "new" / name).read_bytes().startswith(begins)
    assert os.listdir(tmp_path / "new") == [name]  # nothing temporary is left


def test_a_picture_is_twice_its_size_in_pixels():
    data = render(figure(sample.inspected()), "png")
    width, _ = (int.from_bytes(data[place : place + 4], "big") for place in (16, 20))
    assert width > 1000


def test_the_same_chart_gives_the_same_bytes():
    assert render(figure(sample.digits()), "svg") == render(figure(sample.digits()), "svg")


def test_an_unknown_ending_names_the_formats():
    with pytest.raises(UsageError, match="formats: svg, png, pdf"):
        save(figure(sample.digits()), "x.gif")


def test_a_place_that_cannot_be_written_is_a_storage_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be written"):
        save(figure(sample.digits()), tmp_path / "file" / "x.svg")


@needs_font
def test_japanese_text_is_drawn_with_a_japanese_font():
    svg = render(figure(sample.digits(), language="ja"), "svg").decode()
    assert "ベンフォードの法則" in svg
    assert fonts.japanese_font() in svg


def test_without_a_japanese_font_a_japanese_figure_says_what_to_install(monkeypatch):
    monkeypatch.setattr("kaibo.figures.fonts.japanese_font", lambda: None)
    with pytest.raises(MissingError, match="fonts-noto-cjk"):
        render(figure(sample.digits(), language="ja"), "svg")
    assert render(figure(sample.digits()), "svg")


def test_a_font_is_found_by_its_file_where_fontconfig_is_missing(monkeypatch, tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "NotoSansCJK-Regular.ttc").touch()
    monkeypatch.setattr(fonts, "FOLDERS", (str(tmp_path), "/nowhere"))
    assert fonts._by_folder() == "NotoSansCJK-Regular"


def test_no_address_is_ever_fetched():
    import altair as alt

    chart = alt.Chart(alt.UrlData("https://example.invalid/x.csv")).mark_bar().encode(x="a:Q")
    with pytest.raises(ValueError, match="not allowed"):
        render(chart, "svg")
