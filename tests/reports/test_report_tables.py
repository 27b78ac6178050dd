import csv
import io
import re

import pytest
import sample_findings as sample
from hypothesis import given
from hypothesis import strategies as st

from kaibo.chapters import kinds
from kaibo.reports.markup import to_latex, to_markdown
from kaibo.reports.tables import csv_cell, full, to_csv
from kaibo.vocabulary import Finding


def parsed(finding):
    return list(csv.DictReader(io.StringIO(to_csv(finding))))


def test_csv_has_every_column_to_the_last_bit():
    (row,), finding = parsed(sample.digits()), sample.digits()
    shares = finding.rows[0].shares
    assert [float(row[f"shares_{digit}"]) for digit in range(1, 10)] == list(shares)
    assert [int(row[f"counts_{digit}"]) for digit in range(1, 10)] == list(finding.rows[0].counts)
    assert row["mae"] == repr(finding.rows[0].mae)


def test_csv_opens_records_inside_records_and_says_why_a_number_is_missing():
    row = parsed(sample.stats())[0]
    assert (row["quantiles_0.5_low"], row["quantiles_0.99_high"]) == ("-0.001", "0.1")
    assert (row["kurtosis"], row["why"]) == ("", "kurtosis: all values are equal")
    assert row["mean"] == "-0.1"


def test_csv_of_an_architecture_has_a_column_per_role_and_width():
    row = parsed(sample.inspected())[0]
    assert row["parameters_by_role_attention.q"] == "536870912"
    assert row["weights_bytes_4"] == "3369207808"
    assert row["positions_base"] == "10000.0"


@given(st.sampled_from("=+-@\t\r\n＝＋－＠"), st.text())
def test_no_text_begins_as_a_formula(first, rest):
    written = csv_cell(first + rest)
    assert written.startswith("'") or re.fullmatch(r"-\d[\d,]*(\.\d+)?([eE][+-]?\d+)?", written)


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers())
def test_negative_numbers_stay_numbers(number):
    assert float(csv_cell(number)) == float(number)
    assert csv_cell(str(-1.5)) == "-1.5"


@given(st.text())
def test_any_name_survives_csv(name):
    finding = sample.stats(1, name="{}")
    row = type(finding.rows[0])(**{**finding.rows[0].__dict__, "key": name})
    (read,) = csv.DictReader(io.StringIO(to_csv(Finding(kinds()["stats"], (row,))), newline=""))
    assert read["key"].removeprefix("'") == name.removeprefix("'")


def test_undecodable_bytes_of_a_path_are_spelled_out():
    assert csv_cell("model\udcff") == "model\\udcff"


@given(st.text(min_size=1))
def test_a_name_never_adds_a_column_or_a_row_to_markdown(name):
    plain = to_markdown(sample.stats(2))
    hostile = to_markdown(sample.stats(2, name=name.replace("{", "{{").replace("}", "}}")))

    def bars(text):
        return [len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) for line in text.split("\n")]

    assert bars(hostile) == bars(plain)
    assert "<" not in hostile.replace("\\<", "")


def test_latex_escapes_what_latex_would_obey():
    text = to_latex(sample.stats(1, name="a_b&c%d$e#f\\input{{/etc/passwd}}^~"))
    assert r"a\_b\&c\%d\$e\#f\textbackslash{}input\{/etc/passwd\}\textasciicircum{}\textasciitilde{}" in text
    assert text.count("\\\\\n") == 2


@pytest.mark.parametrize("language", ["en", "ja"])
def test_every_finding_has_every_kind_of_table(language):
    for finding in (sample.digits(3), sample.stats(2), sample.profile(), sample.magnitudes(), sample.inspected()):
        assert to_markdown(finding, language).count("\n") == len(finding) + 2
        assert to_latex(finding, language).startswith("\\begin{tabular}")
        assert len(full(finding)) == len(finding)


def test_a_finding_without_rows_is_an_empty_table():
    assert to_csv(Finding(kinds()["stats"], ())) == "\n"
    assert to_markdown(Finding(kinds()["stats"], ())) == "|  |\n|  |\n"
