"""What a column says: one notation of numbers, row numbers that are no benchmark, names in the encoding they have."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kaibo.errors import FormatError, UsageError
from kaibo.tables import read_table
from kaibo.tables.files.cells import read_cells
from kaibo.tables.files.sheets import Hints


def read(path, text, hints=None, encoding="utf-8"):
    path.write_bytes(text.encode(encoding))
    return read_table([path], hints).table


def written(values, digits, comma, delimiter=";"):
    lines = [delimiter.join(["model", "MMLU", "ARC"])]
    for place, row in enumerate(values):
        cells = [f"{value:.{digits}f}" for value in row]
        lines.append(delimiter.join([f"m{place}-7b", *(cell.replace(".", ",") if comma else cell for cell in cells)]))
    return "\n".join(lines) + "\n"


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 4), st.sampled_from([1, 100]))
def test_decimals_after_a_comma_are_those_after_a_point(tmp_path_factory, seed, digits, factor):
    dice = random.Random(seed)
    values = [[factor * (0.2 + 0.6 * dice.random()) for _ in range(2)] for _ in range(8)]
    path = tmp_path_factory.getbasetemp() / "t.csv"
    comma, point = (read(path, written(values, digits, sign)) for sign in (True, False))
    np.testing.assert_array_equal(comma.values, point.values)
    assert comma.units == point.units


def test_three_decimals_after_a_comma_are_not_read_a_thousandfold(tmp_path):
    table = read(tmp_path / "t.tsv", "model\tMMLU\tARC\na\t0,512\t0,601\nb\t0,478\t0,550\n")
    assert table.values.tolist() == [[0.512, 0.601], [0.478, 0.55]]
    mixed = read(tmp_path / "t.csv", "model;MMLU;MT-Bench\na;45,2;7,125\nb;50,1;6,375\n")
    assert mixed.column("MT-Bench").tolist() == [7.125, 6.375]
    assert any('decimal comma, as in the other columns: "MT-Bench"' in note for note in mixed.notes)
    thousands = read(tmp_path / "t.csv", "model;MMLU;seen\na;45,2;1.234,5\nb;50,1;2.345,5\n")
    assert thousands.column("seen").tolist() == [1234.5, 2345.5]


@pytest.mark.parametrize("ending", ["csv", "tsv", "md"])
def test_where_both_readings_are_possible_the_user_is_asked(tmp_path, ending):
    text = {
        "csv": "model;Elo\na;1,234\nb;1,187\n",
        "tsv": "model\tElo\na\t1,234\nb\t1,187\n",
        "md": "| model | Elo |\n|---|---|\n| a | 1,234 |\n| b | 1,187 |\n",
    }[ending]
    path = tmp_path / f"t.{ending}"
    with pytest.raises(FormatError, match=r'"Elo": "1,234" may be 1234 or 1.234, .*--decimal'):
        read(path, text)
    assert read(path, text, Hints(decimal={"": "point"})).column("Elo").tolist() == [1234, 1187]
    assert read(path, text, Hints(decimal={"Elo": "comma"})).column("Elo").tolist() == [1.234, 1.187]
    with pytest.raises(UsageError, match="takes point or comma"):
        read(path, text, Hints(decimal={"": "dot"}))


def test_thousands_are_thousands_where_the_file_writes_decimal_points(tmp_path):
    table = read(tmp_path / "t.csv", 'model,MMLU,Elo\na,45.2,"1,234"\nb,50.1,987\n')
    assert table.column("Elo").tolist() == [1234, 987]
    assert read_cells(["1,234,567", "12"]).numbers.tolist() == [1234567, 12]
    assert read_cells(["12 345,5", "1 234,5"]).numbers.tolist() == [12345.5, 1234.5]


def test_a_column_of_two_notations_is_refused(tmp_path):
    with pytest.raises(FormatError, match="has its decimal sign where others of the column group thousands"):
        read(tmp_path / "t.csv", "model;x\na;45,2\nb;1.234,5\nc;50.1\n")


HEADERS = ["", "#", "No.", "no", "番号", "id", "ID", "Ranking", "順位", "index", "Unnamed: 0", "Rank", "№"]


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("numbers", ["in order", "shuffled"])
def test_row_numbers_are_no_benchmark(tmp_path, header, numbers):
    dice = random.Random(1)
    places = list(range(12))
    if numbers == "shuffled":
        dice.shuffle(places)
    rows = "".join(f"{place},m{n}-7b,{dice.random():.3f}\n" for n, place in enumerate(places))
    table = read(tmp_path / "t.csv", f"{header},model,MMLU\n{rows}")
    assert table.benchmarks == ("MMLU",)
    assert any("numbers the rows" in note for note in table.notes) or header == "Rank" or header == "順位"


def test_a_column_that_counts_the_rows_is_left_out_until_its_unit_is_told(tmp_path):
    rows = "".join(f"m{n}-7b,{n + 1},{n * 7 % 10}.5\n" for n in range(10))
    table = read(tmp_path / "t.csv", f"model,place of honour,MMLU\n{rows}")
    assert table.benchmarks == ("MMLU",)
    assert any("--unit 'place of honour=points'" in note for note in table.notes)
    told = read(tmp_path / "t.csv", f"model,place of honour,MMLU\n{rows}", Hints(units={"place of honour": "points"}))
    assert told.benchmarks == ("place of honour", "MMLU")
    assert read(tmp_path / "t.csv", "model,x\na,1\nb,2\nc,3\n").benchmarks == ("x",)  # three rows may well be scores


NAMES = [
    ("モデル名", "常識推論"), ("ﾓﾃﾞﾙ名", "ｽｺｱ"), ("ﾓﾃﾞﾙ", "ｽｺｱ"), ("model", "ｽｺｱ"), ("モデル", "問題①"), ("model", "①"),
    ("model", "㈱"), ("model", "合計Ⅲ"), ("model", "A群"), ("モデル", "score"), ("model", "髙"), ("GPT版", "℡"),
]  # fmt: skip


@pytest.mark.parametrize("names", NAMES)
def test_what_japanese_windows_writes_is_read_as_it_was_written(tmp_path, names):
    text = f"{names[0]},{names[1]}\na-7b,0.5\nb-7b髙,0.25\n"
    table = read(tmp_path / "t.csv", text, encoding="cp932")
    assert table.models == ("a-7b", "b-7b髙")
    assert table.benchmarks == (names[1],)
    for name in ("shift_jis", "Shift-JIS", "cp932", "windows-31j"):
        assert read(tmp_path / "t.csv", text, Hints(encoding=name), "cp932").benchmarks == (names[1],)


WESTERN = [
    "modèle,précision", "Größe,Maß", "AVALIAÇÃO,x", "según,único", "Übersetzung,x", "1ª,x", "model’s,x", "“Llama”,x",
    "température (°C),x", "Coût (€),x", "naïve,café", "señal,año", "model™,x",
    "Überblick,Öl",
]  # fmt: skip


@pytest.mark.parametrize("header", WESTERN)
def test_western_text_stays_western(tmp_path, header):
    table = read(tmp_path / "t.csv", f"model,{header}\na,0.5,0.25\nb,0.25,0.5\n", encoding="cp1252")
    assert table.benchmarks == tuple(header.split(","))
    assert "read as CP1252" in table.notes


def test_the_encodings_that_a_message_names_are_taken(tmp_path):
    from kaibo.tables.files.text import NAMES as NAMED

    for name in NAMED.split(", "):
        assert read(tmp_path / "t.csv", "model,x\na,1\n", Hints(encoding=name), name).models == ("a",)
    for name in ("klingon", "base64", "undefined", "a\0b"):
        with pytest.raises(UsageError, match="no encoding"):
            read(tmp_path / "t.csv", "model,x\na,1\n", Hints(encoding=name))


SIZES = {
    "7B,350M,1.5B,8x7B,70億": (
        "Params (B)",
        [7e9, 3.5e8, 1.5e9, 5.6e10, 7e9],
    ),  # was 7e18: the header's unit came on top
    "7B,13,small": ("Params (B)", [7e9, 1.3e10, np.nan]),
    "2T,300B,1.5e12": ("Tokens", [2e12, 3e11, 1.5e12]),
}


@pytest.mark.parametrize("cells", SIZES)
def test_a_cell_with_its_own_unit_is_not_multiplied_by_that_of_the_header(tmp_path, cells):
    header, expected = SIZES[cells]
    rows = "".join(f"m{i},{cell},{i}\n" for i, cell in enumerate(cells.split(",")))
    table = read(tmp_path / "t.csv", f"model,{header},MMLU\n{rows}")
    np.testing.assert_allclose(table.fact("tokens" if header == "Tokens" else "parameters"), expected)
    assert ("small" in cells) == any("small" in str(note) for note in table.notes)


def test_a_13_beside_7b_is_not_thirteen_parameters(tmp_path):
    with pytest.raises(FormatError, match='"13"'):
        read(tmp_path / "t.csv", "model,Params,MMLU\na,7B,1\nb,13,2\nc,70B,3\n")


@pytest.mark.parametrize("cells", ["45.2 ± 1.2,50±1", "45.2*,**50.1**", "12/40,20/40", "$61.0$,50 (1)"])
def test_scores_that_are_left_out_as_texts_are_named(tmp_path, cells):
    one, other = cells.split(",")
    table = read(tmp_path / "t.csv", f"model,ARC,MMLU,licence\na,1,{one},MIT\nb,2,{other},GPL 2\n")
    assert table.benchmarks == ("ARC",)
    assert [one in str(note) for note in table.notes if "MMLU" in str(note)] == [True]
    assert not any("licence" in str(note) for note in table.notes)
