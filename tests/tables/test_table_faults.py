"""Malformed tables end in one line of ours: long numbers, dates out of range, bad bytes, workbooks of every kind."""

import contextlib
import datetime
import io
import json
import random
import zipfile

import pytest

from kaibo.errors import FormatError, KaiboError, PolicyError, UsageError
from kaibo.tables import read_table
from kaibo.tables.files.sheets import Hints
from kaibo.tables.remote import fetch


def read(path, data, hints=None):
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return read_table([path], hints).table


@pytest.mark.parametrize("number", ["9007199254740993", "18446744073709551616", "1" * 5000, "-9007199254740993"])
def test_an_integer_that_a_float_would_round_is_refused_with_its_line(tmp_path, number):
    with pytest.raises(FormatError, match=r'line 3, column "x"'):
        read(tmp_path / "t.csv", f"model,x\na,1\nb,{number}\nc,3\n")


def test_a_long_integer_whose_digits_are_kept_is_a_number(tmp_path):
    table = read(tmp_path / "t.csv", "model,FLOPs,x\na,840000000000000000000000,1\nb,9007199254740992,2\n")
    assert table.flops.tolist() == [8.4e23, 2.0**53]


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("int64", [1, 2**53 + 1]),
        ("uint64", [1, 2**64 - 1]),
        ("timestamp[us]", [0, 2**62]),
        ("timestamp[ns, tz=Nowhere/None]", [0, 1]),
        ("date32[day]", [0, 2**31 - 1]),
        ("date64[ms]", [0, 2**60]),
        ("time64[ns]", [0, 2**62]),
        ("duration[s]", [0, 2**62]),
    ],
)
def test_values_of_parquet_that_nothing_can_hold_are_errors_of_ours(tmp_path, kind, values):
    import pyarrow as pa
    from pyarrow import parquet

    unit = kind.partition("[")[2].rstrip("]")
    named, _, zone = unit.partition(", tz=")
    types = {"time64": pa.time64, "duration": pa.duration, "timestamp": pa.timestamp}
    base = kind.partition("[")[0]
    arrow = {"int64": pa.int64(), "uint64": pa.uint64(), "date32": pa.date32(), "date64": pa.date64()}.get(base)
    if arrow is None:
        arrow = types[base](named, zone) if zone else types[base](named)
    whole = pa.array(values, pa.uint64() if base == "uint64" else pa.int32() if base == "date32" else pa.int64())
    parquet.write_table(pa.table({"model": ["a", "b"], "x": whole.view(arrow)}), tmp_path / "t.parquet")
    with contextlib.suppress(KaiboError):
        read_table([tmp_path / "t.parquet"])


def test_text_of_parquet_that_is_no_utf8_is_named(tmp_path):
    import pyarrow as pa
    from pyarrow import parquet

    texts = pa.array([b"fine", b"\xff\xfe"], pa.binary()).view(pa.string())
    parquet.write_table(pa.table({"model": ["a", "b"], "kind": texts}), tmp_path / "t.parquet")
    with pytest.raises(FormatError, match='column "kind"'):
        read_table([tmp_path / "t.parquet"])


def test_nothing_that_one_byte_does_to_a_parquet_file_is_an_error_of_others(tmp_path):
    import pyarrow as pa
    from pyarrow import parquet

    out = io.BytesIO()
    table = pa.table({"model": ["a", "b"], "x": [1.5, 2.0], "d": [datetime.date(2020, 1, 1), None]})
    parquet.write_table(table, out)
    data, dice = out.getvalue(), random.Random(1)
    for _ in range(150):
        broken = bytearray(data)
        broken[dice.randrange(4, len(data))] = dice.randrange(256)
        try:
            read(tmp_path / "t.parquet", bytes(broken))
        except KaiboError:
            continue


def test_a_table_of_too_many_rows_is_refused_before_they_are_read(tmp_path):
    with pytest.raises(FormatError, match="5,000,001 lines; tables of up to 5,000,000 are read"):
        read(tmp_path / "t.csv", b"m,x\n" + b"a,1\n" * 5_000_000)


@pytest.mark.parametrize("mark", ["\x85", "\u2028", "\u2029", "\x0b", "\x1c"])
def test_marks_inside_strings_end_no_line_of_json(tmp_path, mark):
    lines = [{"model": f"a{mark}b", "x": 1}, {"model": "c", "x": 2}]
    text = "\n".join(json.dumps(line, ensure_ascii=mark < " ") for line in lines)
    assert read(tmp_path / "t.jsonl", text).models == (f"a{mark}b", "c")


@pytest.mark.parametrize(
    "address",
    ["https://[::1", "https://[::1]:x/a.csv", "https:///a.csv", "https://host:99999/a.csv", "https://a b/c.csv",
     "https://" + "é" * 300 + ".jp/a.csv", "https://host/a\x00.csv", "https://user:secret@[::/a.csv"],
)  # fmt: skip
def test_addresses_that_are_none_are_usage_errors(address):
    with pytest.raises(UsageError) as caught:
        fetch(address)
    assert "secret" not in caught.value.line


def test_an_address_in_any_script_is_asked_for_in_ascii(monkeypatch):
    from kaibo.tables import remote

    asked = []

    def answer(self, request, *how, **more):
        asked.append(request.full_url)
        raise PolicyError("stop here")

    monkeypatch.setattr("urllib.request.OpenerDirector.open", answer)
    for address in ("https://例え.jp/表 一.csv?q=点".replace(" ", "%20"), "https://[2001:db8::1]:8443/a.csv"):
        with pytest.raises(PolicyError):
            remote.fetch(address)
    assert asked == [
        "https://xn--r8jz45g.jp/%E8%A1%A8%20%E4%B8%80.csv?q=%E7%82%B9",
        "https://[2001:db8::1]:8443/a.csv",
    ]


def book(**parts):
    openpyxl = pytest.importorskip("openpyxl", reason="the extra tables is not installed")
    made = openpyxl.Workbook()
    for row in (["model", "x"], ["a", 0.5], ["b", 0.75]):
        made.active.append(row)
    out, again = io.BytesIO(), io.BytesIO()
    made.save(out)
    with zipfile.ZipFile(out) as whole, zipfile.ZipFile(again, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in whole.namelist():
            content = parts.get(name, whole.read(name))
            if content is not None:
                archive.writestr(name, content)
        for name in parts.keys() - set(whole.namelist()):
            archive.writestr(name, parts[name])
    return again.getvalue()


SHEET = "xl/worksheets/sheet1.xml"
HEAD = '<?xml version="1.0"?><worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'


def sheet(rows, dimension=""):
    return f"{HEAD}{dimension}<sheetData>{rows}</sheetData></worksheet>"


ENTITY = '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>'
DATE = '<c r="A{n}" t="d"><v>99999-99-99</v></c>'
BROKEN = {
    "no workbook part": {"xl/workbook.xml": None},
    "no sheet": {SHEET: None},
    "no types": {"[Content_Types].xml": None},
    "no relations": {"xl/_rels/workbook.xml.rels": None},
    "torn sheet": {SHEET: HEAD + "<sheetData><row"},
    "not XML": {SHEET: b"\x00\xff\x00"},
    "empty sheet part": {SHEET: b""},
    "deep": {SHEET: HEAD + "<a>" * 50_000},
    "entity behind a long comment": {SHEET: f'<?xml version="1.0"?><!--{"x" * 9000}-->{ENTITY}<x>&e;</x>'},
    "entity in UTF-16": {SHEET: f'<?xml version="1.0" encoding="utf-16"?>{ENTITY}<x>&e;</x>'.encode("utf-16")},
    "a strange encoding": {SHEET: b'<?xml version="1.0" encoding="cp037"?>\x4c'},
    "a date out of range": {SHEET: sheet('<row r="1"><c r="A1" t="d"><v>99999-01-01</v></c></row>')},
    "a number that is none": {SHEET: sheet('<row r="1"><c r="A1"><v>x</v></c></row>')},
    "a number of 5,000 digits": {SHEET: sheet(f'<row r="1"><c r="A1"><v>{"9" * 5000}</v></c></row>')},
    "a text that the workbook lacks": {SHEET: sheet('<row r="1"><c r="A1" t="s"><v>999</v></c></row>')},
    "a row number that is none": {SHEET: sheet('<row r="x"><c r="A1"><v>1</v></c></row>')},
    "a place that is none": {SHEET: sheet('<row r="1"><c r="!"><v>1</v></c></row>')},
    "a row far below": {SHEET: sheet('<row r="99999999999"><c><v>1</v></c></row>', '<dimension ref="A1:XFD1048576"/>')},
    "a bomb": {SHEET: sheet("<row/>" * (12 << 20))},
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_malformed_workbook_ends_in_one_line_of_ours(tmp_path, fault):
    with pytest.raises((FormatError, UsageError)):
        read(tmp_path / "t.xlsx", book(**BROKEN[fault]))


def test_nothing_that_one_byte_does_to_a_workbook_is_an_error_of_others(tmp_path):
    data, dice = book(), random.Random(2)
    for _ in range(60):
        broken = bytearray(data)
        broken[dice.randrange(len(data))] = dice.randrange(256)
        try:
            read(tmp_path / "t.xlsx", bytes(broken))
        except KaiboError:
            continue


def test_a_sheet_that_claims_to_be_large_is_read_by_what_it_holds(tmp_path):
    text = '<c r="{}" t="inlineStr"><is><t>{}</t></is></c>'
    rows = f'<row r="1">{text.format("A1", "model")}{text.format("B1", "x")}</row>'
    rows += '<row r="900000"><c r="A900000" t="inlineStr"><is><t>a</t></is></c><c r="B900000"><v>0.5</v></c></row>'
    table = read(tmp_path / "t.xlsx", book(**{SHEET: sheet(rows, '<dimension ref="A1:XFD1048576"/>')}))
    assert table.models == ("a",)
    assert read(tmp_path / "u.xlsx", book(), Hints()).models == ("a", "b")


def test_rows_that_a_single_cell_makes_wide_are_counted_whole(tmp_path, monkeypatch):
    from kaibo.tables.files import excel

    monkeypatch.setattr(excel, "MOST_CELLS", 100_000)
    rows = "".join(f'<row r="{n}"><c r="XFD{n}"><v>1</v></c></row>' for n in range(1, 10))
    with pytest.raises(FormatError, match="more than 100,000 cells"):
        read(tmp_path / "t.xlsx", book(**{SHEET: sheet(rows)}))
