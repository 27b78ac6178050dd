"""The commands of the table side: names in JSON, and a table never seen before."""

import pytest

TABLE = """モデル名,ファミリー,パラメータ数(B),推論,知識,コード,数学,正解率
甲-1b,甲,1,0.31,0.35,0.12,0.05,３５．１％
甲-7b,甲,7,0.45,0.52,0.25,0.15,４８．０％
甲-13b,甲,13,0.51,0.57,0.31,0.22,５３．５％
甲-70b,甲,70,0.66,0.70,0.45,0.50,６８．２％
乙-3b,乙,3,0.38,—,0.20,0.11,４１．０％
乙-8b,乙,8,0.49,0.55,0.33,0.24,５２．２％
乙-32b,乙,32,0.61,0.66,N/A,0.45,６３．９％
丙-2b,丙,2,0.35,0.40,0.15,0.08,３８．８％
丙-9b,丙,9,0.52,0.58,0.30,0.28,５５．１％
丙-27b,丙,27,0.60,,0.38,0.41,６２．０％
"""
NAMES = {
    "table": "models benchmarks missing averages",
    "pca": "explained explained_interval loadings kept_components scores",
    "law": "target predictors train_mse test_mse parameters intervals",
    "forecast": "model value low high extrapolated",
    "select": "budget families models value exact",
    "correlate": "x y n pearson p low high spearman kendall needed",
}


@pytest.fixture
def table(tmp_path):
    (tmp_path / "t.csv").write_bytes(TABLE.encode("shift_jis", "replace").replace(b"?", "ー".encode("shift_jis")))
    return "t.csv"


ARGUMENTS = {
    "table": ["t.csv"],
    "pca": ["t.csv", "--draws", "50", "--permutations", "50"],
    "law": ["t.csv", "--target", "数学", "--components", "1", "--draws", "20", "--random", "0.3"],
    "forecast": ["t.csv", "--target", "数学", "--components", "1", "--draws", "20", "--score", "推論=0.5"],
    "select": ["t.csv", "--budget", "6", "--components", "2"],
    "correlate": ["t.csv:推論", "t.csv:数学", "--given", "t.csv:parameters"],
}


@pytest.mark.parametrize("command", NAMES)
def test_results_of_tables_hold_the_names_that_the_design_promises(kaibo, table, command):
    ran = kaibo(command, *ARGUMENTS[command], "--json")
    assert ran.code == 0, ran.err
    for result in ran.document["results"]:
        assert set(NAMES[command].split()) <= set(result)
    shown = kaibo(command, *ARGUMENTS[command])
    assert shown.code == 0
    assert shown.out


def test_a_table_never_seen_before_is_taken_apart(kaibo, table):
    ran = kaibo("pca", table, "--draws", "50", "--json")
    (result,) = ran.document["results"]
    assert len(result["models"]) == 10
    assert result["benchmarks"] == ["推論", "知識", "コード", "数学", "正解率"]
    assert len(result["imputed"]) == 3
    assert result["explained"][0] > 0.9
    assert any("divided by 100" in warning for warning in ran.document["warnings"])


def test_figures_and_files_are_written_and_never_over_a_strangers(kaibo, table, tmp_path):
    ran = kaibo("pca", table, "--draws", "50", "--figures", "out", "--lang", "ja")
    assert ran.code == 0, ran.err
    assert {path.name for path in (tmp_path / "out").glob("*.svg")} == {
        f"pca-{name}.svg" for name in ("explained", "loadings", "plane")
    }
    (tmp_path / "mine.csv").write_text("mine")
    assert kaibo("table", table, "--wide", "mine.csv").code == 6
    assert kaibo("table", table, "--tidy", "tidy.csv", "--keep").code == 0
    listed = kaibo("measures", "--json").document["results"]
    assert {"scores.推論", "scores.数学"} <= {row["name"] for row in listed}
    assert kaibo("correlate", "store:scores.推論", f"{table}:数学").code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["pca", "absent.csv"], 4, "no such file, folder or shipped table"),
        (["pca", "t.csv", "--columns", "zzz*"], 2, 'fits "zzz*"'),
        (["law", "t.csv", "--target", "数字"], 2, "it has 数学"),
        (["law", "t.csv", "--target", "数学", "--form", "cubic"], 2, "'cubic' is not one of"),
        (["law", "t.csv", "--target", "数学", "--top", "0.2", "--random", "0.2"], 2, "one split at a time"),
        (["correlate", "推論", "t.csv:数学"], 2, "names no column"),
        (["correlate", "store:digits.mae", "t.csv:数学"], 2, "the store is empty"),
        (["forecast", "t.csv", "--target", "数学"], 2, "nothing to forecast from"),
        (["table", "t.csv", "--unit", "推論"], 2, "--unit takes NAME=VALUE"),
        (["select", "t.csv", "--budget", "1", "--include", "甲"], 2, "over the budget"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(kaibo, table, arguments, code, said):
    ran = kaibo(*arguments)
    assert ran.code == code, ran.err
    (line,) = ran.lines
    assert said in line


def test_a_finding_of_tables_is_written_as_a_page_with_its_figures(kaibo, table, tmp_path):
    for language in ("en", "ja"):
        ran = kaibo("pca", "open-models", "--out", str(tmp_path / language), "--lang", language)
        assert ran.code == 0, ran.err
        names = {path.name for path in (tmp_path / language).iterdir()}
        assert {"pca.html", "pca.csv", "pca-explained.svg", "pca-plane.png"} <= names
        assert f'lang="{language}"' in (tmp_path / language / "pca.html").read_text(encoding="utf-8")
