"""Every number of the table side that a source reported, from the documented commands, on the real data."""

from pathlib import Path

import pytest

from kaibo.chapters.correlate.ask import correlate
from kaibo.chapters.law.ask import LawOptions, law
from kaibo.chapters.law.lawfit import FitSettings
from kaibo.chapters.law.splits import Split
from kaibo.chapters.pca.ask import pca
from kaibo.chapters.select.ask import select
from kaibo.chapters.select.selection import SelectSettings
from kaibo.chapters.table.ask import TableOptions, read
from kaibo.chapters.trajectories.ask import trajectories
from kaibo.tables import overview

REFERENCE = Path(__file__).resolve().parents[3] / "shared" / "reference"
OBS = REFERENCE / "obs_scaling"
BASE = OBS / "base_llm_benchmark_eval.csv"
MODELS_77 = TableOptions(models=OBS / "models_77.txt")
MODELS_47 = TableOptions(models=OBS / "models_leaderboard_v2.txt")

pytestmark = pytest.mark.skipif(not REFERENCE.is_dir(), reason=f"the reference data is not at {REFERENCE}")


def test_the_components_of_77_base_models():
    row = pca([BASE], options=MODELS_77).rows[0]
    assert [round(share, 4) for share in row.explained[:3]] == [0.8016, 0.1190, 0.0463]
    assert round(sum(row.explained[:3]), 4) == 0.9670
    reported = {"MMLU": 0.448, "ARC-C": 0.344, "HellaSwag": 0.379, "Winograd": 0.242}
    reported |= {"TruthfulQA": 0.085, "GSM8K": 0.552, "XWinograd": 0.214, "HumanEval": 0.347}
    assert {name: round(values[0], 3) for name, values in row.loadings.items()} == reported
    assert round(100 * row.missing_share, 2) == 0.97
    assert sum(one.n >= 3 for one in row.family_lines) == 14
    assert round(row.mean_family_r2, 4) == 0.9665
    assert row.kept_components == 3  # one, when all were held against tables without a first factor


def test_the_averages_and_components_of_nejumi_4():
    file = REFERENCE / "nejumi4" / "nejumi4.csv"
    scores = read([file]).table
    columns = scores.matching("GLP_*")
    found = overview(scores.only(columns)).averages
    assert len(columns) == 17
    assert len(found) == 5
    row = pca([file], columns="GLP_*").rows[0]
    assert len(row.benchmarks) == 12
    assert [round(share, 3) for share in row.explained[:3]] == [0.512, 0.218, 0.133]
    assert row.kept_components == 4


def fitted(target, table_file, models, cutoff, **how):
    chance, floor = how.get("chance"), how.get("floor", 0.2)
    options = LawOptions(
        without="GSM8K", fit=FitSettings(floor=floor, draws=20), split=Split("flops", cutoff), chance=chance
    )
    return law([BASE, OBS / table_file], target, law=options, options=models).rows[0]


POST = "base_llm_post_training_eval.csv"
V2 = "base_llm_leaderboard_v2_eval.csv"
LAWS = [
    ("gsm8k_5_exact_match,flexible-extract", POST, MODELS_77, 84e21, {},
     {"size": 1.26e-2, "flops": 3.67e-3, "PC1": 2.13e-3, "PC2": 6.69e-4, "PC3": 7.24e-4},
     {"size": 5.96e-4, "flops": 4.64e-4, "PC1": 1.26e-4, "PC2": 4.68e-5, "PC3": 4.63e-5}),
    ("gsm8k_cot_8_exact_match,flexible-extract", POST, MODELS_77, 84e21, {},
     {"size": 1.86e-1, "flops": 3.71e-2, "PC1": 2.08e-2, "PC2": 7.88e-3, "PC3": 4.72e-3},
     {"size": 1.66e-2, "flops": 1.35e-2, "PC1": 9.30e-3, "PC2": 3.92e-3, "PC3": 3.10e-3}),
    ("leaderboard_gpqa", V2, MODELS_47, 168e21, {"chance": "known", "floor": 0.0},
     {"size": 8.95e-3, "flops": 2.30e-3, "PC3": 8.27e-4}, {"size": 5.63e-4, "flops": 4.87e-4, "PC3": 2.73e-4}),
    ("leaderboard_math_hard", V2, MODELS_47, 252e21, {"chance": "known", "floor": 0.0},
     {"size": 1.31e-2, "flops": 1.35e-2, "PC3": 2.21e-3}, {"size": 4.29e-4, "flops": 2.51e-4, "PC3": 6.65e-5}),
    ("leaderboard_bbh", V2, MODELS_47, 84e21, {"chance": "known", "floor": 0.0},
     {"size": 5.32e-2, "flops": 2.66e-2, "PC3": 1.50e-3}, {"size": 3.20e-3, "flops": 2.68e-3, "PC3": 3.38e-4}),
]  # fmt: skip


@pytest.mark.parametrize(("target", "file", "models", "cutoff", "how", "test", "train"), LAWS)
def test_the_errors_of_the_published_laws(target, file, models, cutoff, how, test, train):
    row = fitted(target, file, models, cutoff, **how)
    for name, reported in test.items():
        assert row.test_mse[name] == pytest.approx(reported, rel=0.05), name
    for name, reported in train.items():
        assert row.train_mse[name] <= reported * 1.005, name  # never a worse optimum than the published code's


def test_the_published_selections():
    reported = {4: -1365.30, 8: -37.43, 12: -16.93, 16: -12.70, 20: -10.25, 24: -8.35}
    finding = select([BASE], list(reported), settings=SelectSettings(include=("Llama-2",)), options=MODELS_77)
    assert {row.budget: round(row.value, 2) for row in finding} == reported
    assert all(row.exact for row in finding)


def test_the_published_correlation():
    (row,) = correlate("first-digits:MAE", "first-digits:score").rows
    assert (round(row.pearson, 4), round(row.p, 4), row.needed) == (-0.1700, 0.8300, 270)
    assert (round(row.low, 2), round(row.high, 2)) == (-0.97, 0.95)


def test_the_table_of_open_models_has_the_components_worth_knowing():
    row = pca(["open-models"]).rows[0]
    assert round(row.explained[0], 4) == 0.8908
    assert round(sum(row.explained[:3]), 4) == 0.9810


def test_the_pythia_checkpoints_say_that_perplexity_decides():
    finding = trajectories([REFERENCE / "pythia_zero_shot"])
    rows = {row.benchmark: row for row in finding}
    assert rows["piqa.acc"].n == 8 * 26
    for name in ("lambada_openai.acc", "arc_easy.acc", "sciq.acc", "piqa.acc"):
        assert rows[name].best == "perplexity"
        assert abs(rows[name].size_adds.gain) < 0.001
    scores = read([REFERENCE / "pythia_zero_shot"]).table
    assert len(scores.models) == 8 * 27
    assert set(scores.fact("tokens") / scores.fact("step").clip(1)) == {0.0, 2_097_152.0}
