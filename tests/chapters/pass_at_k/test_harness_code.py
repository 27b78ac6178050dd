"""Tasks of lm-evaluation-harness that run code: what a hub's metric would do is done here, behind walls."""

import json
import shutil
from pathlib import Path

import pytest

from kaibo.chapters.eval.code_eval import judged_here
from kaibo.collect.verdicts import Judging
from kaibo.errors import PolicyError
from kaibo.sandbox import Limits, chosen
from kaibo.store import Store

TEST = "METADATA = {}\n\ndef check(candidate):\n    assert candidate(1) == 2\n\ncheck(f)"
TASK = """
task: small_code
dataset_path: json
dataset_kwargs: {{data_files: {{test: {rows}}}}}
unsafe_code: true
output_type: generate_until
test_split: test
doc_to_text: "{{{{prompt}}}}"
doc_to_target: "{{{{test}}}}\\ncheck({{{{entry_point}}}})"
metric_list:
  - {{metric: !function utils.pass_at_k, aggregation: mean, higher_is_better: true, k: [1]}}
generation_kwargs: {{until: ["\\ndef"], max_gen_toks: 4, do_sample: false}}
filter_list:
  - name: create_test
    filter: [{{function: custom, filter_fn: !function utils.build_predictions}}]
"""


@pytest.fixture
def how(tmp_path: Path) -> Judging:
    try:
        return Judging(chosen(), Limits(seconds=3.0), Store(tmp_path / "store"))
    except PolicyError as error:
        pytest.skip(error.message)


def test_the_metric_of_a_hub_is_kaibos_own_while_a_task_runs(how: Judging) -> None:
    evaluate = pytest.importorskip("evaluate")
    before = evaluate.load
    with judged_here(lambda: how):
        metric = evaluate.load("code_eval")
        good, bad = "def f(x):\n    return x + 1\n", "def f(x):\n    return 2 if x == 1 else exit()\nf(0)\n"
        found, ended = metric.compute(references=[TEST, TEST], predictions=[[good, bad], [bad, bad]], k=[1, 2, 3])
    assert found == {"pass@1": 0.25, "pass@2": 0.5}
    assert [[one["passed"] for _, one in several] for several in ended.values()] == [[True, False], [False, False]]
    assert evaluate.load is before


@pytest.mark.slow
def test_a_task_that_runs_code_is_evaluated_without_a_hub(how: Judging, tmp_path: Path) -> None:
    lm_eval = pytest.importorskip("lm_eval")
    from kaibo.chapters.eval.ask_harness import evaluate_harness
    from kaibo.desk.measuring import Settings
    from scoring_models import save_causal

    save_causal(tmp_path / "model", context=256)
    folder = tmp_path / "tasks"
    folder.mkdir()
    shutil.copy(Path(lm_eval.__file__).parent / "tasks/humaneval/utils.py", folder / "utils.py")
    rows = [{"task_id": "T/0", "prompt": "def f(x):\n    return x + 1\n#", "test": TEST[:-9], "entry_point": "f"}]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "small_code.yaml").write_text(TASK.format(rows=tmp_path / "rows.jsonl"))
    found = evaluate_harness([tmp_path / "model"], ["small_code"], folder, settings=Settings(tmp_path / "store"))
    assert {row.task for row in found.scores.rows} == {"small_code"}
    assert all(0.0 <= row.value <= 1.0 for row in found.scores.rows)
