"""The fast and the exact way of reading one table give the same answer, whatever stands in it."""

import math

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import kaibo.tables.files.delimited as delimited
from kaibo.errors import KaiboError
from kaibo.tables import read_table
from kaibo.tables.files.sheets import Hints

ODD = (
    "", "-", "—", "N/A", "n/A", " N/A ", "nUll", "NaN", "-nan", "+nan", "nan(1)", "inf", "Infinity", "0x10", "-0X1F",
    "1e5", "1e400", "1.", ".5", "+.5", "+5", "007", "1_0", "1,5", "1,234", "1.234,5", "45%", "true", "2024-05-03",
    "12:30", "x", " x ", "x y", "４５", "①", "²", "½", "٤٥", "\x85", "\u2028", "\ufeff", '"', '"a"b', 'a"b', '"a,b"',
    '"a\nb"', "\0", "\r", "\v", "'1", "=1", "9007199254740993", "18446744073709551616", "−3", "1 234", "\u200b", "ー",
    "oops",
)  # fmt: skip
PLAIN = st.sampled_from(["0.5", "1", "-2.25", "3e2", "a", "bc", "-", "N/A", "", "oops", "0.1", "12"])
CELLS = st.one_of(
    st.floats(allow_nan=False, width=32).map(str),
    st.integers(-(2**66), 2**66).map(str),
    st.sampled_from(ODD),
    st.text(max_size=6),
)
HEADERS = st.one_of(
    st.sampled_from(["model", "x", "y", "", "#", "name", " x", "X", "id", "\ufeffmodel", "Unnamed: 0"]),
    st.text(max_size=4),
)


@st.composite
def tables(draw):
    width = draw(st.integers(1, 4))
    delimiter = draw(st.sampled_from([",", ";", "\t"]))
    end = draw(st.sampled_from(["\n", "\r\n", "\n", "\r"]))
    cells = draw(st.sampled_from([CELLS, PLAIN, st.one_of(PLAIN, PLAIN, PLAIN, PLAIN, CELLS)]))
    rows = draw(st.lists(st.lists(cells, min_size=width, max_size=width), min_size=1, max_size=8))
    if draw(st.booleans()):  # a column of numbers with a few other cells
        place = draw(st.integers(0, width - 1))
        rows = [
            [*row[:place], str(number), *row[place + 1 :]] if number % 3 else row for number, row in enumerate(rows)
        ]
    header = draw(st.lists(HEADERS, min_size=width, max_size=width))
    lines = [delimiter.join(header), *(delimiter.join(row) for row in rows)]
    lines = draw(st.permutations(lines)) if draw(st.integers(0, 9)) == 0 else lines
    return draw(st.sampled_from(["", "", "\ufeff", "\n", " \n"])) + end.join(lines) + draw(st.sampled_from(["", end]))


def answer(data, path, hints):
    try:
        sheet = delimited.read_delimited(data, path, hints)
    except KaiboError as error:
        return type(error).__name__, error.line
    columns = [
        (
            column.name,
            None if column.numbers is None else [None if math.isnan(x) else x for x in column.numbers.tolist()],
            None if column.texts is None else list(column.texts),
            column.percent,
            column.mixed,
            dict(column.originals),
        )
        for column in sheet.columns
    ]
    return sheet.rows, sheet.notes, columns


HINTS = [Hints(), Hints(missing=frozenset({"oops"})), Hints(model="x"), Hints(dedupe=True), Hints(encoding="utf-8")]


@pytest.mark.parametrize("hints", HINTS, ids=["plain", "missing", "model", "dedupe", "encoding"])
@settings(max_examples=150, deadline=None)
@given(text=tables())
@example(text="\ufeff x,model,y\n0.5,0.5,0.5\n")
@example(text="model,x\na,-nan\nb,1\n")
@example(text="model,x\na,0x10\nb,1\n")
@example(text="model,x,y\na,9007199254740993,2\nb,1,2\n")
@example(text="model,kind\n a , N/A \nb,nUll\n")
@example(text="model,x\na,1\n,\nb,2\n")
@example(text=",\nmodel,x\na,1\n")
@example(text="model,note\na,①\nb,text\nc,more\n")
@example(text='model,note\na,"a"b\nb,c\n')
@example(text="model,note\na,x\nb,oops\n")
def test_the_fast_way_and_the_exact_way_give_one_answer(tmp_path_factory, hints, text):
    data, path = text.encode("utf-8", "surrogatepass"), tmp_path_factory.getbasetemp() / "t.csv"
    large = delimited.LARGE
    try:
        delimited.LARGE = 1 << 40
        exact = answer(data, path, hints)
        delimited.LARGE = 0
        assert answer(data, path, hints) == exact
    finally:
        delimited.LARGE = large


def test_a_large_plain_table_takes_the_fast_way(tmp_path, monkeypatch):
    rows = "".join(f"org/m-{i},{i / 7:.4f},{'-' if i % 5 == 0 else i},t{i % 3}\n" for i in range(500))
    monkeypatch.setattr(delimited, "LARGE", 0)
    monkeypatch.setattr(delimited, "_grid", None)  # the exact way would fail
    (tmp_path / "t.csv").write_text(f"model,a,b,kind\n{rows}")
    table = read_table([tmp_path / "t.csv"]).table
    assert table.values.shape == (500, 2)
    assert table.originals["org/m-0", "b"] == "-"
