"""What holds of every kind of finding that ships, whatever its rows: it is drawn, tabled and exported."""

from __future__ import annotations

import csv
import io
import json

import pytest

from kaibo.chapters import kinds
from kaibo.figures import figure, shown_by
from kaibo.reports.markup import to_latex, to_markdown
from kaibo.reports.page import page, section
from kaibo.reports.tables import to_csv
from kaibo.reports.terminal import console, show
from kaibo.words.catalogue import LANGUAGES
from kinds.made_rows import HOSTILE, Filling, made

KINDS = sorted(kinds())
FILLINGS = {
    "ordinary": Filling(),
    "absent": Filling(absent=True),
    "nan": Filling(number=float("nan")),
    "infinite": Filling(number=float("inf")),
    "hostile": Filling(names=tuple(f"{place}{HOSTILE}" for place in range(3))),
}


def printed(finding, language="en"):
    out = io.StringIO()
    show(finding, to=console(out), language=language)
    return out.getvalue()


@pytest.fixture(params=KINDS)
def kind(request):
    return kinds()[request.param]


def read_by_people(finding):
    """Every form in which people read a finding, in both languages."""
    for language in LANGUAGES:
        yield to_markdown(finding, language)
        yield to_latex(finding, language)
        yield printed(finding, language)


def exported(finding):
    """The same, and the forms that programs read."""
    yield from read_by_people(finding)
    yield to_csv(finding)
    yield finding.to_json()


@pytest.mark.parametrize("count", [0, 1, 3])
def test_any_number_of_rows_is_exported(kind, count):
    assert all(isinstance(text, str) for text in exported(made(kind, count)))


@pytest.mark.parametrize("filling", FILLINGS)
def test_whatever_the_rows_hold_is_exported(kind, filling):
    finding = made(kind, 2, FILLINGS[filling])
    table = list(csv.reader(io.StringIO(to_csv(finding), newline="")))
    assert len({len(line) for line in table}) == 1
    assert len(table) == 3
    document = json.loads(finding.to_json())
    assert len(document["results"]) == 2
    for text in read_by_people(finding):  # what programs read has the name as it is
        assert not {"\x1b", "\u202e"} & set(text)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_column_and_figure_has_words(kind, language):
    finding = made(kind, 3)
    for name in shown_by(finding):
        figure(finding, name=name, language=language)


def test_a_page_takes_it_and_nothing_of_a_name_runs(kind):
    finding = made(kind, 2, FILLINGS["hostile"])
    text = page([section(finding, "ja", drawings=())], title="t", language="ja")
    assert "<script>alert(1)" not in text


@pytest.mark.slow
def test_ten_thousand_rows_are_exported(kind):
    assert to_csv(made(kind, 10_000)).count("\n") == 10_001
