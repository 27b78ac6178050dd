from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import kaibo
from kaibo.cli import main_loop
from kaibo.study import Ran, declared, run

EXACT = (6_738_415_616, 13_015_864_320, 32_528_943_616, 65_285_660_672, 6_738_415_616, 13_015_864_320)
"""Parameters of LLaMA 7B, 13B, 33B, 65B and Llama 2 7B and 13B, as their papers' releases have them."""


@pytest.fixture(scope="module")
def ran() -> Ran:
    return run(declared("scaling"), kaibo.Inputs(small=True))


def judged(ran: Ran) -> dict[str, object]:
    return {one.id: one for one in ran.judgements}


def test_the_first_component_of_the_llama_rows_follows_compute_as_numpy_says(ran: Ran) -> None:
    table = kaibo.score_table(["open-models", "llama-training"])
    centred = table.values - table.values.mean(axis=0)
    first = centred @ np.linalg.svd(centred)[2][0]
    tokens = table.fact("tokens")
    llama = np.isfinite(tokens)
    sizes = np.array([*EXACT, 33_743_970_304, 68_976_648_192])
    r = np.corrcoef(np.log10(6 * sizes * tokens[llama]), first[llama])[0, 1]
    ours = judged(ran)["open-models-pc1-flops"]
    assert ours.ours == pytest.approx(r * r, abs=1e-9)  # type: ignore[attr-defined]
    assert (ours.verdict, ours.n) == ("reproduced", 8)  # type: ignore[attr-defined]


def test_an_english_and_a_japanese_table_stand_side_by_side_without_any_being_given(ran: Ran) -> None:
    rows = ran.results.findings["tables"].rows
    assert [row.table for row in rows if row.component == 1] == ["open-models", "elyza-japanese", "english"]
    for row in rows:
        own = ran.results.findings[row.table].rows[0]
        assert row.explained == own.explained[row.component - 1]
        assert row.above_chance == (row.component <= own.kept_components)
    assert ran.results.sentences[0][0] == "beside_open-models"


def test_laws_stand_beside_their_baselines_and_forecasts_say_when_they_reach_too_far(ran: Ran) -> None:
    for target in ("MMLU", "Code"):
        finding = ran.results.findings[f"law-{target}"]
        lines = {line.predictor: line for line in finding.kind.tabled(finding)[0].rows}
        assert {"size", "flops", "PC1", "PC3"} <= lines.keys()
        assert lines["size"].test_mse == finding.rows[0].test_mse["size"]
    small, large = ran.results.findings["forecast"].rows
    assert small.low < small.value < small.high
    assert (small.extrapolated, large.extrapolated) == (False, True)
    assert [row.exact for row in ran.results.findings["select"].rows] == [True] * 4


def leaderboard(path: Path, third: str) -> Path:
    """Nine models whose scores have three parts: all together, English apart, one more apart."""
    general, english, more = np.linspace(-1, 1, 9), np.tile([1, -1, 0], 3), np.repeat([1.0, -1.0, 0.0], 3)
    columns = {
        "GLP_翻訳": 0.5 + 0.3 * general, "GLP_推論": 0.5 + 0.28 * general,
        "GLP_英語": 0.5 + 0.2 * general + 0.2 * english,
        third: 0.5 + 0.2 * general + 0.1 * more, "ALT_毒性": 0.5 - 0.3 * english,
    }  # fmt: skip
    lines = [",".join(["model", *columns])]
    lines += [",".join([f"m{k}", *(f"{value[k]:.4f}" for value in columns.values())]) for k in range(9)]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@pytest.mark.parametrize(("third", "semantic"), [("GLP_意味解析", "reproduced"), ("GLP_構文解析", "differs")])
def test_what_weighs_most_on_a_component_of_a_japanese_leaderboard_names_it(
    third: str, semantic: str, tmp_path: Path
) -> None:
    table = leaderboard(tmp_path / "nejumi.csv", third)
    verdicts = {
        one.id: one.verdict
        for one in run(declared("scaling"), kaibo.Inputs(tables=(str(table),), small=True)).judgements
    }
    assert verdicts["glp-pc2-english"] == "reproduced"
    assert verdicts["glp-pc3-semantic"] == semantic


def test_columns_choose_among_those_of_the_tables_given(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = leaderboard(tmp_path / "nejumi.csv", "GLP_意味解析")
    inputs = kaibo.Inputs(tables=(str(table),), columns="GLP_*,ALT_*", small=True)
    found = run(declared("scaling"), inputs).results.findings["japanese"].rows[0]
    assert "ALT_毒性" in found.benchmarks
    given = ["--table", str(table), "--columns", "GLP_*", "--small", "--out", str(tmp_path / "pages")]
    assert main_loop(["study", "run", "scaling", *given]) == 0
    assert (tmp_path / "pages" / "scaling.html").is_file()
