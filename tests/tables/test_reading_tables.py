"""Any table a person may have: formats, encodings, numbers as people write them, and the faults they contain."""

import contextlib
import gzip
import io
import json
import os
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kaibo.errors import FormatError, KaiboError, MissingError, UsageError
from kaibo.tables import overview, read_table
from kaibo.tables.export import safe_cell, tidy_csv, wide_csv
from kaibo.tables.files.cells import read_cells
from kaibo.tables.files.sheets import Hints
from kaibo.tables.shipped import sources

PLAIN = "model,MMLU,GSM8K\na-7b,0.5,0.2\nb-13b,0.6,\nc-70b,0.7,0.4\n"


def read(path, text, hints=None, **how):
    path.write_bytes(text if isinstance(text, bytes) else text.encode(how.pop("encoding", "utf-8")))
    return read_table([path], hints).table


@pytest.fixture
def file(tmp_path):
    return lambda name: tmp_path / name


JAPANESE = "モデル名,推論能力,知識・質問応答\n甲,0.5,0.25\n乙,0.75,ー\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "shift_jis", "euc_jp"])
def test_japanese_headers_are_read_in_every_usual_encoding(file, encoding):
    table = read(file("表.csv"), JAPANESE, encoding=encoding)
    assert table.models == ("甲", "乙")
    assert table.benchmarks == ("推論能力", "知識・質問応答")
    assert table.column("推論能力").tolist() == [0.5, 0.75]
    assert table.originals == {("乙", "知識・質問応答"): "ー"}


def test_western_text_is_not_taken_for_japanese(file):
    table = read(file("w.csv"), "modèle,précision\nétoile,0.5\nnuée,0.6\n", encoding="cp1252")
    assert table.models == ("étoile", "nuée")
    assert "read as CP1252" in table.notes


def test_a_file_that_mixes_encodings_is_refused_with_line_and_byte(file):
    mixed = JAPANESE.encode() + "丙,0.1,0.2\n".encode("shift_jis")
    with pytest.raises(FormatError, match=r"line 4: byte 0x95 is not UTF-8") as caught:
        read(file("m.csv"), mixed)
    assert mixed[caught.value.offset] == 0x95


def test_a_file_that_ends_inside_a_character_is_cut(file):
    with pytest.raises(FormatError, match="ends inside a character"):
        read(file("c.csv"), JAPANESE.encode()[:-2])


def test_a_byte_that_no_encoding_has_is_refused(file):
    with pytest.raises(FormatError, match="line 2: byte 0x81"):
        read(file("m.csv"), b"model,x\na\x81 ,1\n")
    with pytest.raises(UsageError, match="no encoding"):
        read(file("m.csv"), PLAIN, Hints(encoding="klingon"))


def test_numbers_as_people_write_them():
    cells = read_cells(["４５．２", "1,234", "−3", " 7 ", "1e3", "+.5", "５０％"])
    assert cells.numbers.tolist() == [45.2, 1234.0, -3.0, 7.0, 1000.0, 0.5, 50.0]
    assert cells.percent.tolist() == [False] * 6 + [True]
    assert read_cells(["45,2", "6,75", "100"]).numbers.tolist() == [45.2, 6.75, 100.0]
    assert read_cells(["inf", "1_000", "0x10", "2024-05-03"]).bad == (0, 1, 2, 3)


@pytest.mark.parametrize("cell", ["", " ", "N/A", "-", "—", "null", "nan", "TBD", "　"])
def test_a_missing_cell_is_missing_never_zero_and_keeps_what_it_said(file, cell):
    table = read(file("m.csv"), f"model,x\na,1\nb,{cell}\nc,3\n")
    assert np.isnan(table.column("x")[1])
    assert table.originals["b", "x"].strip() == cell.strip()


def test_text_late_in_a_column_of_numbers_names_line_column_and_cell(file):
    rows = "".join(f"m{i},{i % 97}\n" for i in range(30_000))
    with pytest.raises(FormatError, match=r'line 30002, column "score": "oops" is no number'):
        read(file("t5.csv"), f"model,score\n{rows}last,oops\n")
    table = read(file("t5.csv"), f"model,score\n{rows}last,oops\n", Hints(missing=frozenset({"oops"})))
    assert table.holes == 1


def test_the_fast_way_says_the_same_as_the_exact_way(file, monkeypatch):
    import kaibo.tables.files.delimited as delimited

    rows = "".join(f"org/m-{i},{i / 7:.4f},{'-' if i % 5 == 0 else i},t{i % 3}\n" for i in range(500))
    text = f"model,a,b,kind\n{rows}"
    exact = read(file("f.csv"), text)
    monkeypatch.setattr(delimited, "LARGE", 0)
    fast = read(file("f.csv"), text)
    assert fast.models == exact.models
    assert fast.labels == exact.labels
    np.testing.assert_array_equal(fast.values, exact.values)
    assert fast.originals == exact.originals
    with pytest.raises(FormatError, match=r'line 502, column "b": "oops"'):
        read(file("f.csv"), f"{text}z,1,oops,t\n")
    with pytest.raises(FormatError, match="line 502: 3 cells where the header has 4"):
        read(file("f.csv"), f"{text}z,1,2\n")


@pytest.mark.parametrize("cells", [["45.2%", "0.61", "61"], ["45.2%", "61"], ["0.61", "58", "0.45", "61"]])
def test_percent_and_fractions_in_one_column_are_refused_until_told(file, cells):
    text = "model,ok,score\n" + "".join(f"m{i},0.5,{cell}\n" for i, cell in enumerate(cells))
    with pytest.raises(FormatError, match='column "score" mixes percent and fractions') as caught:
        read(file("p.csv"), text)
    assert "--unit 'score=percent'" in caught.value.line
    assert read(file("p.csv"), text, Hints(units={"score": "percent"})).units == ("fraction", "percent")


def test_duplicate_models_are_listed_and_refused(file):
    text = "model,x\nLlama,1\nＬＬＡＭＡ ,2\nother,3\n"
    with pytest.raises(FormatError, match=r'1 models occur more than once: "llama" \(2 rows\)'):
        read(file("d.csv"), text)
    assert read(file("d.csv"), text, Hints(dedupe=True)).column("x").tolist() == [1, 3]
    with pytest.raises(FormatError, match=r'headers that occur twice: "X" \(columns 2 and 3\)'):
        read(file("d.csv"), "model,x,X\na,1,2\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model,x\na,1,2\n", "line 2: 3 cells where the header has 2"),
        ('model,x\na,"1\nb,2\n', "line 2: a quote is opened and never closed"),
        ("model,x\na,1\nb,\0\n", "line 3: a NUL byte"),
        ("", "the file is empty"),
        ("model,x\n", "a header and no rows"),
        ("<!DOCTYPE html><html>", "this is a web page"),
        ("version https://git-lfs.github.com/spec/v1", "pointer of git-lfs"),
    ],
)
def test_faults_of_a_file_are_named(file, text, message):
    with pytest.raises(FormatError, match=message):
        read(file("x.csv"), text)


def test_a_huge_cell_is_refused_with_its_line(file):
    with pytest.raises(FormatError, match="line 2: a cell of more than 1,048,576 characters"):
        read(file("x.csv"), f"model,x\n{'y' * (3 << 19)},1\n")


def test_carriage_returns_alone_and_quoted_lines_are_read(file):
    assert read(file("cr.csv"), "model,x\ra,1\rb,2\r").models == ("a", "b")
    table = read(file("q.csv"), 'model,note,x\n"a","two\nlines",1\nb,,2\n')
    assert table.labels["note"][0] == "two\nlines"


@pytest.mark.parametrize("columns", [10_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_tables_of_very_many_columns_are_read(file, columns):
    names = ",".join(f"c{i}" for i in range(columns))
    table = read(file("wide.csv"), f"model,{names}\na,{','.join('1' * columns)}\nb,{','.join('2' * columns)}\n")
    assert table.values.shape == (2, columns)


def test_a_gzip_bomb_is_stopped_and_a_gzip_table_is_read(file):
    assert read(file("t.csv.gz"), gzip.compress(PLAIN.encode())).models == ("a-7b", "b-13b", "c-70b")
    with pytest.raises(FormatError, match="unpacks to more than"):
        read(file("bomb.csv.gz"), gzip.compress(b"0" * (70 << 20)))
    with pytest.raises(FormatError, match="ends too early"):
        read(file("cut.csv.gz"), gzip.compress(PLAIN.encode())[:-9])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[{"model": "a", "x": 1},\n {"model": "b", "x": 1, "x": 2}]', 'line 2: the key "x" stands twice'),
        ('[{"model": "a",\n "x": NaN}]', "line 2: NaN is not JSON"),
        ('[{"model": "a", "x": 9007199254740993}]', "beyond 2\\^53"),
        ("[" * 200_000, "nested too deep"),
        ('[{"model": "a", "x": 1', "line 1: .*cut off"),
        ('{"a": 1}', "JSON that is no table"),
    ],
)
def test_faults_of_json_are_named_with_their_line(file, text, message):
    with pytest.raises(FormatError, match=message):
        read(file("x.json"), text)


def test_a_torn_last_line_of_json_lines_is_named(file):
    with pytest.raises(FormatError, match="line 2"):
        read(file("x.jsonl"), '{"model": "a", "x": 1}\n{"model": "b", "x"')


@pytest.mark.parametrize(
    "document",
    [
        [{"model": "a", "x": 0.5, "y": None}, {"model": "b", "x": 0.25, "y": 0.75}],
        {"columns": ["model", "x", "y"], "data": [["a", 0.5, None], ["b", 0.25, 0.75]]},
        {"model": ["a", "b"], "x": [0.5, 0.25], "y": [None, 0.75]},
        {"a": {"x": 0.5}, "b": {"x": 0.25, "y": 0.75}},
        {"rows": [{"row": {"model": "a", "x": 0.5}}, {"row": {"model": "b", "x": 0.25, "y": 0.75}}]},
    ],
)
def test_json_tables_of_every_usual_shape(file, document):
    table = read(file("t.json"), json.dumps(document))
    assert table.models == ("a", "b")
    assert table.only(("x", "y")).values.tolist()[1] == [0.25, 0.75]
    assert np.isnan(table.column("y")[0])


def test_an_open_llm_leaderboard_export_is_read_by_its_full_names(file):
    link = '<a target="_blank" href="https://x">org/Model-7B</a>  <a href="d">📑</a>'
    rows = [{"Model": link, "fullname": "org/Model-7B", "Average ⬆️": 30.5, "IFEval": 40.0, "#Params (B)": 7.2}]
    rows += [{"Model": "x", "fullname": "org/Other", "Average ⬆️": 20.5, "IFEval": 30.0, "#Params (B)": 13.0}]
    table = read(file("o.json"), json.dumps(rows))
    assert table.models == ("org/Model-7B", "org/Other")
    assert table.fact("parameters").tolist() == pytest.approx([7.2e9, 13e9])


def test_markdown_and_parquet_and_tsv_say_the_same(file):
    import pyarrow as pa
    from pyarrow import parquet

    markdown = "# A page\n\n| model | x | y |\n|---|--:|:--|\n| [a](http://a) | 1.5 | - |\n| `b` | 2 | 3 |\n\nend\n"
    one = read(file("t.md"), markdown)
    two = read(file("t.tsv"), "model\tx\ty\na\t1.5\t-\nb\t2\t3\n")
    parquet.write_table(pa.table({"model": ["a", "b"], "x": [1.5, 2.0], "y": ["-", "3"]}), file("t.parquet"))
    three = read_table([file("t.parquet")]).table
    for other in (two, three):
        assert other.models == one.models == ("a", "b")
        np.testing.assert_array_equal(other.values, one.values)
    with pytest.raises(FormatError, match="line 5: 2 cells"):
        read(file("bad.md"), markdown.replace("| [a](http://a) | 1.5 | - |", "| a | 1.5 |"))
    with pytest.raises(FormatError, match="no Parquet file"):
        read(file("bad.parquet"), b"PAR1 and nothing")


def workbook(**sheets):
    openpyxl = pytest.importorskip("openpyxl", reason="the extra tables is not installed")
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, (state, rows) in sheets.items():
        sheet = book.create_sheet(name)
        sheet.sheet_state = state
        for row in rows:
            sheet.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def test_a_workbook_gives_its_first_visible_sheet_and_says_so(file):
    rows = [["model", "x"], ["a", 0.5], ["b", None]]
    data = workbook(secret=("hidden", [["model", "x"], ["z", 9]]), scores=("visible", rows))
    table = read(file("b.xlsx"), data)
    assert table.models == ("a", "b")
    assert any('read the sheet "scores"; not read: secret' in note for note in table.notes)
    assert read(file("b.xlsx"), data, Hints(sheet="secret")).models == ("z",)


def test_a_date_where_a_score_was_typed_is_refused(file):
    import datetime

    data = workbook(scores=("visible", [["model", "x"], ["a", 0.5], ["b", datetime.datetime(2024, 5, 3)]]))
    with pytest.raises(FormatError, match='row 3, column "x": Excel holds the date'):
        read(file("d.xlsx"), data)


def test_a_workbook_with_entities_is_refused(file):
    pytest.importorskip("openpyxl", reason="the extra tables is not installed")
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("xl/workbook.xml", '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>')
    with pytest.raises(FormatError, match="declares a document type"):
        read(file("x.xlsx"), out.getvalue())


def test_formulas_stay_text_inside_and_are_harmless_outside(file):
    table = read(file("f.csv"), "model,x\n\"=cmd|'/C calc'!A0\",-3.5\n@b,+4\n")
    assert table.models == ("=cmd|'/C calc'!A0", "@b")
    assert table.column("x").tolist() == [-3.5, 4]
    lines = wide_csv(table).splitlines()
    assert lines[1].startswith("'=cmd")
    assert lines[1].endswith(",-3.5")
    assert safe_cell("\tx") == "'\tx"


def test_a_table_written_tidy_is_read_back(file):
    table = read(file("t.csv"), PLAIN)
    again = read(file("tidy.csv"), tidy_csv(table))
    np.testing.assert_array_equal(again.only(table.benchmarks).values, table.values)
    assert again.models == table.models


def test_metadata_is_recognised_and_flops_follow(file):
    text = "モデル,ファミリー,パラメータ数 (B),学習トークン数 (T),JCom\nx,X,7,2,0.5\ny,Y,13,,0.6\n"
    table = read(file("m.csv"), text)
    assert table.benchmarks == ("JCom",)
    assert table.families == ("X", "Y")
    assert table.flops.tolist()[0] == pytest.approx(84e21)
    assert np.isnan(table.flops[1])
    sizes = read(file("s.csv"), "model,size,x\nLlama,7B,1\nLlama,13B,2\nMixtral,8x7B,3\n")
    assert sizes.models == ("Llama 7B", "Llama 13B", "Mixtral 8x7B")
    assert sizes.fact("parameters").tolist() == [7e9, 13e9, 56e9]


def test_shipped_tables_have_their_sources_and_keep_missing_cells_missing():
    holes = {"llama-zero-shot": 13, "closed-models": 7, "code-generation": 35, "first-digits": 1}
    for name in sources():
        table = read_table([name]).table
        assert sources()[name]["source"] in table.notes[0]
        assert table.holes == holes.get(name, 0), name
        assert overview(table).averages == ()
    zero_shot = read_table(["llama-zero-shot"]).table
    assert zero_shot.models[0] == "GPT-3 175B"
    assert zero_shot.originals["Gopher 280B", "OBQA"] == "-"
    assert len(read_table(["llama2-languages"]).table.models) == 28


def test_what_is_not_there_is_missing_with_what_is_shipped(file):
    with pytest.raises(MissingError, match="shipped are llama-zero-shot"):
        read_table(["llama-zeroshot"])
    os.mkdir(file("empty"))
    with pytest.raises(MissingError, match="no result files"):
        read_table([file("empty")])
    with pytest.raises(KaiboError, match="is not https"):
        read_table(["http://example.org/a.csv"])


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300), st.sampled_from(["csv", "tsv", "json", "jsonl", "md", "xlsx", "parquet"]))
def test_no_bytes_make_anything_but_a_table_or_an_error_of_ours(tmp_path_factory, data, kind):
    path = tmp_path_factory.mktemp("any") / f"t.{kind}"
    path.write_bytes(data)
    with contextlib.suppress(UsageError, FormatError, MissingError):
        read_table([path])


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=200))
def test_no_text_makes_anything_but_a_table_or_an_error_of_ours(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("any") / "t.csv"
    path.write_bytes(b"model,x,y\n" + text.encode("utf-8", "surrogatepass"))
    with contextlib.suppress(UsageError, FormatError):
        overview(read_table([path]).table)
