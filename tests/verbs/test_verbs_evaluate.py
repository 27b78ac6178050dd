from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kaibo
from kaibo.chapters.eval.ask import EvalOptions as Asked
from kaibo.chapters.eval.ask import Evaluations
from kaibo.collect.shards import Shard
from kaibo.desk.addresses import raising
from kaibo.errors import KaiboError, StoppedError, UsageError
from kaibo.face.options import EvalOptions
from kaibo.scoring.exams.exams import ExamSettings
from kaibo.store import Store
from made import quiet
from scoring_models import save_causal
from task_data import WORDY, write_rows, write_task

WRITTEN = """
[task]
name = "written"
[data]
path = "rows.jsonl"
[prompt]
template = "{{ passage }} {{ question }}"
target = "{{ options[0] }}"
[metric]
names = ["exact_match", "f1", "rougeL"]
[generate]
stop = ["q"]
max_tokens = 6
"""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    made = {kind: save_causal(folder / kind, kind, context=256) for kind in ("llama", "gpt_neox")}
    return {**made, "other": save_causal(folder / "other", seed=1, context=256)}


@pytest.fixture
def task(tmp_path: Path) -> Path:
    return write_task(tmp_path)


def kept(tmp_path: Path, name: str = "store", **more: Any) -> kaibo.Settings:
    return kaibo.Settings(store=tmp_path / name, **more)


def rows_of(found: Evaluations) -> dict[str, Any]:
    return {row.metric: row for row in found.scores}


def logs(tmp_path: Path, name: str = "store") -> Any:
    return Store(tmp_path / name).sql("select * from token_log order by log, item, branch, position")


def test_scores_are_those_of_transformers_question_by_question(
    models: dict[str, Path], task: Path, tmp_path: Path
) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    found = rows_of(
        kaibo.evaluate(models["gpt_neox"], task, options=EvalOptions(shots=0, limit=8), settings=kept(tmp_path))
    )
    with quiet():
        tokenizer = AutoTokenizer.from_pretrained(models["gpt_neox"])
        model = AutoModelForCausalLM.from_pretrained(models["gpt_neox"]).eval()
    hits, norm_hits = 0, 0
    for line in (tmp_path / "rows.jsonl").read_text().splitlines()[:8]:
        row = json.loads(line)
        prompt = f"{row['passage']} {row['question']}"
        sums = []
        for option in row["options"]:
            before, ids = tokenizer(prompt)["input_ids"], tokenizer(f"{prompt} {option}")["input_ids"]
            with torch.no_grad():
                chances = model(torch.tensor([ids])).logits[0].double().log_softmax(-1)
            sums.append(sum(float(chances[at - 1, ids[at]]) for at in range(len(before), len(ids))))
        hits += int(np.argmax(sums)) == row["target"]
        norm_hits += int(np.argmax(np.array(sums) / [len(one) for one in row["options"]])) == row["target"]
    assert (found["acc"].value, found["acc_norm"].value) == (hits / 8, norm_hits / 8)
    assert (found["acc"].n, found["acc"].clusters, found["acc"].chance) == (8, 2, pytest.approx(1 / 3))


def test_the_log_says_which_question_and_which_option_a_token_belongs_to(
    models: dict[str, Path], task: Path, tmp_path: Path
) -> None:
    kaibo.evaluate(models["llama"], task, options=EvalOptions(shots=0, limit=3), settings=kept(tmp_path))
    rows = logs(tmp_path).to_pylist()
    assert {row["document"] for row in rows} == {"wordy"}
    assert sorted({(row["item"], row["branch"]) for row in rows}) == [(i, b) for i in range(3) for b in range(3)]
    first = json.loads((tmp_path / "rows.jsonl").read_text().splitlines()[0])
    data = f"{first['passage']} {first['question']} {first['options'][1]}".encode()
    own = [row for row in rows if (row["item"], row["branch"]) == (0, 1)]
    assert b"".join(data[row["byte_begin"] : row["byte_end"]] for row in own).decode() == " " + first["options"][1]
    assert [row["context_length"] for row in own] == [row["position"] for row in own]


def test_what_was_asked_is_never_asked_again_and_more_questions_ask_only_the_new_ones(
    models: dict[str, Path], task: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import kaibo.scoring.exams.answering as answering

    first = kaibo.evaluate(models["llama"], task, options=EvalOptions(limit=6), settings=kept(tmp_path))
    before = logs(tmp_path).num_rows
    more = kaibo.evaluate(models["llama"], task, options=EvalOptions(limit=12), settings=kept(tmp_path))
    assert before < logs(tmp_path).num_rows

    def fail(*given: Any) -> Any:
        raise AssertionError("asked again")

    monkeypatch.setattr(answering, "answers", fail)
    again = kaibo.evaluate(models["llama"], task, options=EvalOptions(limit=12), settings=kept(tmp_path))
    assert [vars(row) for row in again.scores] == [vars(row) for row in more.scores]
    assert rows_of(first)["acc"].n == 6
    with pytest.raises(AssertionError, match="asked again"):
        kaibo.evaluate(models["other"], task, options=EvalOptions(limit=6), settings=kept(tmp_path))


class Interrupt:
    """Sends a signal when the so-many-th part is done."""

    def __init__(self, after: int) -> None:
        self.left = after

    def begin(self, label: str, total: int, unit: str = "bytes") -> None:
        self.asking = unit in ("questions", "requests")

    def advance(self, done: int) -> None:
        self.left -= self.asking
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("text", [WORDY, WRITTEN])
def test_an_interrupted_evaluation_goes_on_and_ends_with_the_same_bytes(
    models: dict[str, Path], tmp_path: Path, text: str
) -> None:
    task = write_task(tmp_path, text)
    options = EvalOptions(limit=8, how=ExamSettings(batch=4))
    whole = kaibo.evaluate(models["llama"], task, options=options, settings=kept(tmp_path, "whole"))
    with pytest.raises(StoppedError):
        kaibo.evaluate(models["llama"], task, options=options, settings=kept(tmp_path, "parts", progress=Interrupt(2)))
    before = Store(tmp_path / "parts").parts.read("token_log").num_rows
    parts = kaibo.evaluate(models["llama"], task, options=options, settings=kept(tmp_path, "parts"))
    assert 0 < before < logs(tmp_path, "whole").num_rows
    assert logs(tmp_path, "parts").equals(logs(tmp_path, "whole"))
    assert [vars(row) for row in parts.scores] == [vars(row) for row in whole.scores]


def test_what_is_written_is_what_transformers_writes_and_is_cut_at_the_stop_text(
    models: dict[str, Path], tmp_path: Path
) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    task = write_task(tmp_path, WRITTEN)
    found = kaibo.evaluate(models["gpt_neox"], task, options=EvalOptions(limit=4), settings=kept(tmp_path))
    with quiet():
        tokenizer = AutoTokenizer.from_pretrained(models["gpt_neox"])
        model = AutoModelForCausalLM.from_pretrained(models["gpt_neox"]).eval()
    kept_ids: dict[int, list[int]] = {}
    for row in logs(tmp_path).to_pylist():
        kept_ids.setdefault(row["item"], []).append(row["token_id"])
    for item, line in enumerate((tmp_path / "rows.jsonl").read_text().splitlines()[:4]):
        row = json.loads(line)
        ids = tokenizer(f"{row['passage']} {row['question']}", return_tensors="pt")["input_ids"]
        with torch.no_grad(), quiet():
            whole = model.generate(ids, max_new_tokens=6, do_sample=False, eos_token_id=1, pad_token_id=1)
        assert whole[0, ids.shape[1] :].tolist()[: len(kept_ids[item])] == kept_ids[item]
    assert {row.metric for row in found.scores} == {"exact_match", "f1", "rougeL"}


def test_a_question_longer_than_the_context_is_reported_and_never_cut(models: dict[str, Path], tmp_path: Path) -> None:
    rows = [
        {"id": f"q{k}", "passage": "dog " * (400 if k == 1 else 3), "question": "?", "options": ["a", "b"], "target": 0}
        for k in range(4)
    ]
    task = write_task(tmp_path, rows=rows)
    errors: list[KaiboError] = []
    found = kaibo.evaluate(
        models["llama"], task, options=EvalOptions(shots=0), settings=kept(tmp_path), on_error=errors.append
    )
    acc = rows_of(found)["acc"]
    assert (acc.n, acc.failed) == (3, 1)
    assert (errors[0].exit, "q1" in errors[0].line, "context is 256" in errors[0].line) == (8, True, True)
    (failure,) = Store(tmp_path / "store").parts.read("failures").to_pylist()
    assert failure["tensor"] == "wordy:q1"


def test_a_checkpoint_whose_logits_are_not_numbers_is_reported_and_the_others_go_on(
    models: dict[str, Path], task: Path, tmp_path: Path
) -> None:
    from safetensors.numpy import load_file, save_file

    broken = save_causal(tmp_path / "broken", seed=3, context=256)
    weights = load_file(broken / "model.safetensors")
    weights["model.norm.weight"] = np.full_like(weights["model.norm.weight"], np.nan)
    save_file(weights, broken / "model.safetensors", metadata={"format": "pt"})
    errors: list[KaiboError] = []
    for text in (WORDY, WRITTEN):
        asked = write_task(tmp_path, text)
        found = kaibo.evaluate([broken, models["llama"]], asked, settings=kept(tmp_path), on_error=errors.append)
        assert {row.model for row in found.scores} == {str(models["llama"])}
    assert [("not numbers" in one.line, one.file) for one in errors] == [(True, str(broken))] * 2


def test_variants_stand_beside_the_score_and_two_models_are_compared(models: dict[str, Path], tmp_path: Path) -> None:
    text = WORDY + '[[prompt.variants]]\nname = "other"\ntemplate = "{{ question }}"\n'
    text = text.replace("[few_shot]\nn = 1\n", "") + "[few_shot]\nn = 1\n"
    task = write_task(tmp_path, text)
    found = kaibo.evaluate(
        [models["llama"], models["other"]], task, options=EvalOptions(variants=4), settings=kept(tmp_path)
    )
    acc = next(row for row in found.scores if row.metric == "acc")
    assert len(acc.variants) == 4
    assert acc.variants[0] == acc.value
    assert acc.variant_names == ("0 · examples 0", "other · examples 0", "0 · examples 1", "other · examples 1")
    assert acc.variants_low == min(acc.variants)
    assert acc.variants_std == pytest.approx(float(np.std(acc.variants, ddof=1)))
    first = found.pairs.rows[0]
    assert first.n == 15
    assert first.difference == pytest.approx((first.only_a - first.only_b) / 15)


def test_scores_are_rows_of_the_table_of_scores(models: dict[str, Path], task: Path, tmp_path: Path) -> None:
    found = kaibo.evaluate(models["llama"], task, settings=kept(tmp_path))
    rows = Store(tmp_path / "store").sql("select benchmark, metric, value, n_shot from scores").to_pylist()
    assert {row["metric"]: row["value"] for row in rows} == {row.metric: row.value for row in found.scores}
    assert {(row["benchmark"], row["n_shot"]) for row in rows} == {("wordy", 1)}


def test_a_cloze_is_made_of_any_text_and_kept_like_any_task(models: dict[str, Path], tmp_path: Path) -> None:
    text = tmp_path / "story.txt"
    text.write_text("".join(f"The fox number {k} jumps over dog {k * 7}. " for k in range(12)), encoding="utf-8")
    found = rows_of(kaibo.evaluate(models["llama"], "cloze", options=EvalOptions(data=text), settings=kept(tmp_path)))
    assert found["acc"].n == 11
    assert found["ppl_wrong"].value > 1


def test_a_folder_of_checkpoints_is_evaluated_in_order_in_one_process(task: Path, tmp_path: Path) -> None:
    for seed, step in ((0, 20), (1, 3)):
        save_causal(tmp_path / "run" / f"checkpoint-{step}", seed=seed, context=256)
    together = kaibo.evaluate(tmp_path / "run", task, options=EvalOptions(limit=6), settings=kept(tmp_path, "all"))
    assert [row.step for row in together.scores if row.metric == "acc"] == [3, 20]
    alone = tmp_path / "run" / "checkpoint-20"
    kaibo.evaluate(alone, task, options=EvalOptions(limit=6), settings=kept(tmp_path, "one"))
    asked = "select item, branch, position, nats from token_log where model_id in (select model_id from token_log) "
    one = Store(tmp_path / "one").sql(asked + "order by item, branch, position").to_pylist()
    every = Store(tmp_path / "all").sql(asked).to_pylist()
    assert [row for row in one if row not in every] == []


def harness_task(folder: Path) -> None:
    """A task of the harness over local rows, of each kind of request."""
    rows = [{"q": f"the fox {k}", "choices": ["dog", "lazy dog", "fox"], "label": k % 3} for k in range(6)]
    write_rows(folder / "local.jsonl", rows)
    common = f"dataset_path: json\ndataset_kwargs:\n  data_files:\n    test: {folder}/local.jsonl\ntest_split: test\n"
    chosen = 'output_type: multiple_choice\ndoc_to_text: "{{q}}"\ndoc_to_target: label\ndoc_to_choice: choices\n'
    (folder / "choose.yaml").write_text(f"task: local_choose\n{common}{chosen}metric_list:\n  - metric: acc\n")
    rolled = 'output_type: loglikelihood_rolling\ndoc_to_text: ""\ndoc_to_target: "{{q}}"\n'
    metric = "metric_list:\n  - metric: bits_per_byte\n"
    (folder / "roll.yaml").write_text(f"task: local_roll\n{common}{rolled}{metric}")
    made = 'output_type: generate_until\ndoc_to_text: "{{q}}"\ndoc_to_target: "{{q}}"\n'
    kwargs = 'generation_kwargs:\n  until: ["q"]\n  max_gen_toks: 5\n'
    (folder / "write.yaml").write_text(
        f"task: local_write\n{common}{made}{kwargs}metric_list:\n  - metric: exact_match\n"
    )


@pytest.mark.slow
def test_tasks_of_the_harness_give_its_own_numbers_and_are_kept(
    models: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("lm_eval")
    from kaibo.chapters.eval.ask_harness import evaluate_harness, share_harness

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    harness_task(tmp_path)
    names = ["local_choose", "local_roll", "local_write"]
    with quiet():
        from lm_eval.evaluator import simple_evaluate
        from lm_eval.models.huggingface import HFLM
        from lm_eval.tasks import TaskManager

        manager = TaskManager(include_path=str(tmp_path), include_defaults=False)
        own = HFLM(pretrained=str(models["llama"]), device="cpu", dtype="float32", batch_size=2)
        expected = simple_evaluate(own, tasks=names, task_manager=manager, bootstrap_iters=0)["results"]
        for _ in range(2):
            found = evaluate_harness(models["llama"], names, tmp_path, settings=kept(tmp_path))
    told = {row.task: row.value for row in found.scores}
    assert told["local_choose"] == expected["local_choose"]["acc,none"]
    assert told["local_roll"] == pytest.approx(expected["local_roll"]["bits_per_byte,none"], rel=1e-6)
    assert told["local_write"] == expected["local_write"]["exact_match,none"]
    assert "local_choose" in {row["document"] for row in logs(tmp_path).to_pylist()}
    shared = kept(tmp_path, "shared")
    told_of = {"options": Asked(), "settings": shared, "on_error": raising}
    with quiet():
        parts = [
            part
            for at in range(2)
            for part in share_harness([models["llama"]], names, tmp_path, Shard(at, 2), **told_of)
        ]
        again = evaluate_harness(models["llama"], names, tmp_path, settings=shared)
    assert [part.taken for part in parts] in ([1, 2], [2, 1])
    assert again.scores.records() == found.scores.records()
    with quiet(), pytest.raises(UsageError, match='no task "local_chose"'):
        evaluate_harness(models["llama"], ["local_chose"], tmp_path, settings=kept(tmp_path))


def test_of_many_models_each_is_compared_with_the_last_one_only() -> None:
    from kaibo.chapters.eval.pairs import COMPARED, paired
    from kaibo.vocabulary.evaluations import Answered, Sitting

    answers = tuple(Answered(k, str(k), (1.0, 2.0), (1, 1), ("a", "b"), k % 2) for k in range(4))
    sat = [Sitting(f"m{k}", f"{k}", "t", "en", "0", 0, ("acc",), None, answers) for k in range(COMPARED + 1)]
    few, many = paired(sat[:COMPARED]), paired(sat)
    assert (len(few.rows), few.notes) == (COMPARED * (COMPARED - 1) // 2, ())
    assert [(row.a, row.b) for row in many.rows] == [(f"m{k}", f"m{COMPARED}") for k in range(COMPARED)]
    assert many.notes


def test_requests_of_the_harness_that_are_in_the_store_need_no_weights_and_a_stopped_run_goes_on(
    models: dict[str, Path], tmp_path: Path
) -> None:
    pytest.importorskip("lm_eval")
    from kaibo.collect.harness import Kept
    from kaibo.llama import Causal, open_causal
    from kaibo.vocabulary.functions import Function

    with quiet():
        from lm_eval.api.instance import Instance

        from kaibo.scoring.harness import KaiboLM, Later
    loads = 0

    def load() -> Causal:
        nonlocal loads
        loads += 1
        return open_causal(models["llama"], dtype="float32")

    def told(store: str, **more: Any) -> Any:
        function = Function("model", None, "model", "function", "tokenizer")
        keeper = Kept(Store(tmp_path / store), function, "settings", **more)
        model = KaiboLM(Later(str(models["llama"]), 256, frozenset((1,)), load), batch_size=65, keeper=keeper)
        chosen = [("the quick", " fox"), ("the quick", " dog")]
        asked = {"until": ["q"], "max_gen_toks": 5}
        prompts = [(f"{'the fox ' * (k % 3 + 1)}{k}", dict(asked)) for k in range(60)]
        likely = [Instance("loglikelihood", {}, one, 0, ("t", k, 1)) for k, one in enumerate(chosen)]
        wrote = [Instance("generate_until", {}, one, 0, ("t", k, 1)) for k, one in enumerate(prompts)]
        return model.loglikelihood(likely), model.generate_until(wrote)

    whole = told("store")
    assert loads == 1
    assert told("store") == whole
    assert loads == 1
    with pytest.raises(StoppedError):
        told("parts", progress=Interrupt(2))
    assert 0 < logs(tmp_path, "parts").num_rows < logs(tmp_path).num_rows
    assert told("parts") == whole
    assert logs(tmp_path, "parts").equals(logs(tmp_path))
