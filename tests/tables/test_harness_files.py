"""Result files of lm-evaluation-harness 0.4: from the command line and from Python, groups, samples, several dates."""

import json

import numpy as np
import pytest

from kaibo.errors import FormatError
from kaibo.tables import read_table

STAMP = "2026-05-01T1{hour}-00-00.000000"


def metrics(acc, **more):
    return {"name": "t", "alias": " - t", "sample_len": 500, "acc,none": acc, "acc_stderr,none": 0.01, **more}


def document(model_args, results, **more):
    config = {"model": "hf", "model_args": model_args, "limit": None, "batch_size": 8, "random_seed": 2**80}
    return {
        "results": results,
        "configs": {},
        "versions": {},
        "n-shot": dict.fromkeys(results, 0),
        "config": config,
        **more,
    }


def write(folder, value, hour=0, name="results"):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}_{STAMP.format(hour=hour)}.json").write_text(json.dumps(value))


def table(path):
    return read_table([path]).table


@pytest.mark.parametrize(
    "model_args", [None, "", {}, [], 7, True, "trust_remote_code=True", {"pretrained": "Model(\n x)"}]
)
def test_without_a_name_in_its_arguments_a_model_is_called_as_its_folder(tmp_path, model_args):
    for place in range(3):
        write(tmp_path / f"lab__demo-{place}b", document(model_args, {"arc": metrics(0.1 * place)}))
    assert table(tmp_path).models == ("lab/demo-0b", "lab/demo-1b", "lab/demo-2b")


@pytest.mark.parametrize("model_args", ["pretrained=lab/demo-1b,dtype=bfloat16", {"pretrained": "lab/demo-1b", "x": 1}])
def test_only_metric_and_filter_is_a_score(tmp_path, model_args):
    more = {
        "exact_match,strict-match": 0.25,
        "count": 3,
        "sample_count": {"acc,none": 3},
        "flag,none": True,
        "n,none": "N/A",
    }
    write(tmp_path / "x", document(model_args, {"arc": metrics(0.5, **more)}))
    found = table(tmp_path)
    assert found.models == ("lab/demo-1b",)
    assert found.benchmarks == ("arc.acc", "arc.exact_match,strict-match")
    assert found.stderr[0, 0] == 0.01


def test_the_old_form_keeps_its_metrics_without_filters(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps({"results": {"arc": {"acc": 0.5, "acc_stderr": 0.1, "sample_len": 9}}}))
    assert table(tmp_path / "a.json").benchmarks == ("arc.acc",)


def test_numbers_that_are_none_are_missing(tmp_path):
    write(tmp_path / "x", document("pretrained=m", {"arc": metrics(float("nan")), "ppl": metrics(float("inf"))}))
    found = table(tmp_path)
    assert np.isnan(found.values).all()


def test_groups_and_files_of_samples(tmp_path):
    results = {"sums_a": metrics(0.35), "sums_b": metrics(0.5), "sums": metrics(0.425)}
    more = {"groups": {"sums": results["sums"]}, "group_subtasks": {"sums": ["sums_a", "sums_b"]}}
    more["n-samples"] = {"sums_a": {"original": 20, "effective": 5}}
    write(tmp_path / "m", document("pretrained=m", results, **more))
    (tmp_path / "m" / "samples_sums_a_2026-05-01T10-00-00.000000.jsonl").write_text('{"doc_id": 0, "acc": 1.0}\n')
    found = table(tmp_path)
    assert found.benchmarks == ("sums.acc", "sums_a.acc", "sums_b.acc")
    assert "aggregates of other tasks in the table: sums" in found.notes
    assert any("a part of their examples (--limit) in some files: sums_a" in note for note in found.notes)


def test_tasks_that_were_run_one_by_one_are_one_row(tmp_path):
    for model in range(4):
        for hour, task in enumerate(("arc", "hellaswag", "piqa")):
            write(
                tmp_path / f"lab__demo-{model}b",
                document(f"pretrained=lab/demo-{model}b", {task: metrics(0.1 * model)}),
                hour,
            )
    found = table(tmp_path)
    assert found.values.shape == (4, 3)
    assert found.holes == 0


def test_of_several_dates_the_newest_of_each_task_counts_and_it_is_said(tmp_path):
    for hour, results in enumerate(
        ({"arc": metrics(0.1), "piqa": metrics(0.7)}, {"arc": metrics(0.3)}, {"arc": metrics(0.2)})
    ):
        write(tmp_path / "lab__m", document("pretrained=lab/m", results), hour)
    found = table(tmp_path)
    assert found.column("arc.acc").tolist() == [0.2]
    assert found.column("piqa.acc").tolist() == [0.7]
    assert any("the newest of each task is used (lab/m: arc)" in note for note in found.notes)


def test_two_files_of_one_task_without_a_date_are_both_named(tmp_path):
    for folder, acc in (("a", 0.1), ("b", 0.2)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "results.json").write_text(json.dumps(document("pretrained=lab/m", {"arc": metrics(acc)})))
    with pytest.raises(FormatError, match=r"two result files.*a/results.json and .*b/results.json"):
        table(tmp_path)


SPELLINGS = [
    "/data/runs/demo/checkpoint-{}", "/data/runs/demo/checkpoint-{}/", "/data/runs/demo/checkpoint_{}",
    "/data/runs/demo/global_step{}", "/data/runs/demo/step-{}", "/data/runs/demo-step{}", "./runs/demo/checkpoint-{}",
]  # fmt: skip


def test_checkpoints_that_are_named_by_path_are_one_run(tmp_path):
    for place, spelling in enumerate(SPELLINGS):
        path = spelling.format(100 * (place + 1))
        write(tmp_path / path.replace("/", "__"), document(f"pretrained={path}", {"arc": metrics(0.1)}))
    found = table(tmp_path)
    assert set(found.labels["model"]) == {"demo"}
    assert found.fact("step").tolist() == [100, 200, 300, 400, 500, 600, 700]
    assert len(set(found.families)) == 1


def test_two_runs_of_one_name_in_two_folders_stay_two(tmp_path):
    for place, path in enumerate(("/a/demo/checkpoint-1000", "/b/demo/checkpoint-1000")):
        write(tmp_path / str(place), document(f"pretrained={path}", {"arc": metrics(0.1)}))
    assert table(tmp_path).models == ("a/demo@1000", "b/demo@1000")


@pytest.mark.parametrize("name", ["stepfun-ai/step3", "org/model-7b", "gpt2"])
def test_a_product_is_no_checkpoint(tmp_path, name):
    write(tmp_path / "x", document(f"pretrained={name}", {"arc": metrics(0.1)}))
    assert table(tmp_path).models == (name,)


def test_adapters_and_revisions_are_models_of_their_own(tmp_path):
    for place, args in enumerate(
        ("pretrained=b,peft=org/one", "pretrained=b,peft=org/two", "pretrained=b,revision=v1", "pretrained=b")
    ):
        write(tmp_path / str(place), document(args, {"arc": metrics(0.1)}))
    assert table(tmp_path).models == ("b", "b@v1", "org/one", "org/two")


def test_perplexities_by_any_name_are_no_fractions():
    from kaibo.tables.results.harness import unit_of_metric

    assert {unit_of_metric(f"{of}perplexity") for of in ("", "word_", "byte_")} == {"points"}
