"""What a table means: averages among its columns, models joined by name, scores above chance, result files."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kaibo.errors import FormatError, UsageError
from kaibo.tables import averages, join, overview, read_table
from kaibo.tables.chance import above_chance
from kaibo.tables.joins import pick_models
from kaibo.tables.names import canonical, read_aliases
from kaibo.vocabulary.scores import ScoreTable


def table_of(values, names=None, models=None, unit="fraction"):
    values = np.asarray(values, dtype=float)
    names = tuple(names or (f"c{i}" for i in range(values.shape[1])))
    models = tuple(models or (f"m{i}" for i in range(values.shape[0])))
    return ScoreTable("t", models, names, values, (unit,) * len(names), models)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 10**6), st.integers(10, 60), st.integers(4, 14), st.integers(2, 6), st.integers(1, 4), st.booleans()
)  # of fewer rows with one decimal chance could make a mean, and none is claimed
def test_a_mean_of_printed_columns_is_found_wherever_it_stands(seed, rows, columns, members, digits, holes):
    rng = np.random.default_rng(seed)
    members = min(members, columns - 1, 3)
    values = rng.uniform(0, 100, (rows, columns))
    if holes:
        values[rng.random(values.shape) < 0.1] = np.nan
    chosen = rng.choice(columns, members, replace=False)
    mean = np.nanmean(np.where(np.isnan(values[:, chosen]).all(axis=1, keepdims=True), 0.0, values[:, chosen]), axis=1)
    mean[np.isnan(values[:, chosen]).all(axis=1)] = np.nan
    table = table_of(np.round(np.column_stack([values, mean]), digits), unit="percent")
    found = averages(table)
    assert [one.benchmark for one in found] == [f"c{columns}"]
    assert set(found[0].members) == {f"c{i}" for i in chosen}
    assert found[0].equal


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 30), st.integers(3, 20), st.integers(0, 2))
def test_unrelated_columns_are_never_called_averages(seed, rows, columns, digits):
    rng = np.random.default_rng(seed)
    ability = rng.normal(size=(rows, 1))
    values = np.round(50 + 15 * ability + 5 * rng.normal(size=(rows, columns)), digits)
    assert averages(table_of(values, unit="percent")) == ()


def test_fewer_models_than_columns_is_no_reason_to_call_a_column_a_mean():
    rng = np.random.default_rng(1)
    assert averages(table_of(rng.uniform(0, 1, (5, 17)))) == ()


def test_a_weighted_mean_is_found_with_its_weights():
    rng = np.random.default_rng(2)
    values = np.round(rng.uniform(0, 1, (40, 6)), 4)
    weighted = np.round(values @ [0.5, 0.3, 0.2, 0, 0, 0], 6)
    (found,) = averages(table_of(np.column_stack([values, weighted])))
    assert found.members == ("c0", "c1", "c2")
    assert found.weights == pytest.approx([0.5, 0.3, 0.2], abs=1e-3)


def test_copies_are_near_duplicates_and_no_means():
    rng = np.random.default_rng(3)
    x = np.round(rng.uniform(0, 1, (20, 1)), 3)
    table = table_of(np.hstack([x, x, x, np.round(rng.uniform(0, 1, (20, 2)), 3)]))
    assert averages(table) == ()
    assert [pair[:2] for pair in overview(table).near_duplicates] == [("c0", "c1"), ("c0", "c2"), ("c1", "c2")]


def test_columns_that_say_nothing_are_named():
    nan = np.nan
    table = table_of([[1, nan, 0.2], [1, nan, 0.4], [1, nan, nan]])
    found = overview(table)
    assert found.constant == ("c0",)
    assert found.empty == ("c1",)
    assert found.missing == 4
    assert dict(found.missing_by_benchmark) == {"c1": 3, "c2": 1}


def test_names_that_mean_one_model_are_joined_and_shown():
    first = table_of([[1.0], [2.0]], ["x"], ["Meta-Llama/Llama-2-7b-hf", "b"])
    second = table_of([[3.0], [4.0]], ["y"], ["llama-2-7B-HF", "z"])
    joined = join(first, second)
    assert joined.renamed == (("Meta-Llama/Llama-2-7b-hf", "llama-2-7B-HF"),)
    assert joined.only_first == ("b",)
    assert joined.only_second == ("z",)
    assert joined.table.column("y").tolist()[0] == 3.0
    assert joined.table.models == ("Meta-Llama/Llama-2-7b-hf", "b", "z")


def test_an_ambiguous_join_is_an_error_and_an_alias_file_settles_it(tmp_path):
    first = table_of([[1.0], [2.0]], ["x"], ["a/model", "b/model"])
    second = table_of([[3.0]], ["y"], ["model"])
    with pytest.raises(FormatError, match='would both be joined as "model"'):
        join(first, second)
    (tmp_path / "alias.toml").write_text('"old name" = "a/New-Name"\n')
    aliases = read_aliases(tmp_path / "alias.toml")
    assert aliases == {"old name": "new-name"}
    joined = join(table_of([[1.0]], ["x"], ["Old Name"]), table_of([[2.0]], ["y"], ["new-name"]), aliases)
    assert joined.table.values.tolist() == [[1.0, 2.0]]
    (tmp_path / "alias.csv").write_text("x,y\nx,z\n")
    with pytest.raises(FormatError, match="stands for two names"):
        read_aliases(tmp_path / "alias.csv")


@given(st.text(max_size=40))
def test_a_canonical_name_is_its_own(name):
    assert canonical(canonical(name)) == canonical(name)


def test_models_that_are_not_there_are_named():
    with pytest.raises(UsageError, match="has no model nobody"):
        pick_models(table_of([[1.0]], ["x"], ["a"]), ["nobody"])


def test_scores_above_chance_are_zero_at_chance_and_one_at_the_top():
    table = table_of([[25.0, 0.0], [100.0, 100.0]], ["MMLU", "GSM8K"], unit="percent")
    assert above_chance(table).values.tolist() == [[0.0, 0.0], [1.0, 1.0]]
    assert above_chance(table, {"MMLU": 0.0}).values[0, 0] == 0.25
    with pytest.raises(UsageError, match="chance level of Mystery is not known"):
        above_chance(table_of([[0.5]], ["Mystery"]))


OLD = {"results": {"piqa": {"acc": 0.7, "acc_stderr": 0.01}}, "versions": {"piqa": 0}, "config": {"num_fewshot": 0}}
NEW = {
    "results": {"gsm8k": {"alias": "gsm8k", "exact_match,strict-match": 0.2, "exact_match_stderr,strict-match": 0.01,
                          "exact_match,flexible-extract": 0.25, "acc,none": 0.1, "acc_stderr,none": "N/A"}},
    "versions": {"gsm8k": 3}, "n-shot": {"gsm8k": 5},
    "config": {"model": "hf", "model_args": "pretrained=org/pythia-160m-deduped,revision=step1000"},
}  # fmt: skip


def test_result_files_of_both_forms_are_read(tmp_path):
    (tmp_path / "results.json").write_text(json.dumps(NEW))
    table = read_table([tmp_path / "results.json"]).table
    assert table.models == ("org/pythia-160m-deduped@1000",)
    assert table.benchmarks == ("gsm8k.acc", "gsm8k.exact_match,flexible-extract", "gsm8k.exact_match,strict-match")
    assert table.fact("parameters")[0] == 162_322_944
    assert table.fact("tokens")[0] == 1000 * 2_097_152
    assert table.flops[0] == 6 * 162_322_944 * 1000 * 2_097_152


def test_a_folder_of_checkpoints_is_one_table_in_order(tmp_path):
    for step in (1000, 32, 512):
        (tmp_path / "pythia-70m").mkdir(exist_ok=True)
        (tmp_path / "pythia-70m" / f"70m_step{step}.json").write_text(json.dumps(OLD))
    (tmp_path / "other.json").write_text('{"a": 1}')
    table = read_table([tmp_path]).table
    assert table.fact("step").tolist() == [32, 512, 1000]
    assert table.stderr[0, 0] == 0.01
    (tmp_path / "pythia-70m" / "copy").mkdir()
    (tmp_path / "pythia-70m" / "copy" / "70m_step32.json").write_text(json.dumps(OLD))
    with pytest.raises(FormatError, match="two result files"):
        read_table([tmp_path])


@pytest.mark.parametrize("name", ["Perplexity", "wiki ppl", "word_perplexity", "Loss", "val-loss", "bits per byte"])
def test_what_is_no_share_is_no_percentage_whatever_its_values(tmp_path: Path, name: str) -> None:
    table = tmp_path / "t.csv"
    table.write_text(f"model,{name},glossary,MMLU\na,12.5,40,61.2\nb,9.1,35,58.0\nc,0.9,50,70.1\n", encoding="utf-8")
    assert read_table([table]).table.units == ("points", "percent", "percent")
