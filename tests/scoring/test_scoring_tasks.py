from __future__ import annotations

from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from kaibo.errors import FormatError, MissingError, PolicyError, UsageError
from kaibo.scoring.exams.cloze import cloze_rows, sentences
from kaibo.scoring.exams.prompting import Paper, papers
from kaibo.scoring.exams.task_files import Prompt, parse_task, read_task, shipped
from task_data import ROWS, WORDY, write_rows, write_task

JGLUE = Path(__file__).resolve().parents[3] / "shared" / "reference" / "jglue"

BUNDLED = {
    "boolq": "super_glue/boolq/default.yaml",
    "piqa": "piqa/piqa.yaml",
    "siqa": "siqa/siqa.yaml",
    "arc": "arc/arc_easy.yaml",
    "openbookqa": "openbookqa/openbookqa.yaml",
    "mmlu": "mmlu/default/_default_template_yaml",
    "jnli": "japanese_leaderboard/ja_leaderboard_jnli.yaml",
    "mgsm": "japanese_leaderboard/ja_leaderboard_mgsm.yaml",
    "lambada": "lambada/lambada_openai.yaml",
}


def asked(name: str, tmp_path: Path, prompt: str | None = None) -> Paper:
    task = read_task(name)
    if prompt is not None:
        task = replace(task, prompts=tuple(one for one in task.prompts if one.name == prompt))
    (paper,) = papers(task, str(write_rows(tmp_path / f"{name}.jsonl", ROWS[name])), shots=0)
    return paper


class Loader(yaml.SafeLoader):
    """The harness's files name functions; the templates are plain."""


Loader.add_constructor("!function", lambda loader, node: None)


@pytest.mark.parametrize("name", BUNDLED)
def test_shipped_prompts_are_those_of_the_harness_on_the_same_rows(name: str, tmp_path: Path) -> None:
    lm_eval = pytest.importorskip("lm_eval")
    from lm_eval.utils import apply_template

    told = yaml.load((Path(lm_eval.__file__).parent / "tasks" / BUNDLED[name]).read_text("utf-8"), Loader)
    paper = asked(name, tmp_path, "ja_leaderboard" if name == "jnli" else None)
    for row, question in zip(ROWS[name], paper.questions, strict=True):
        text = told["doc_to_text"]
        text = apply_template(text, row) if "{" in text else row[text]
        assert question.contexts[0] == told.get("description", "") + text
        if isinstance(told.get("doc_to_choice"), list):
            assert question.options == tuple(told["doc_to_choice"])
        elif name == "lambada":
            assert question.endings[0] == apply_template(told["doc_to_target"], row)


def test_hellaswag_and_winogrande_are_made_as_the_functions_of_the_harness_make_them(tmp_path: Path) -> None:
    pytest.importorskip("lm_eval")
    from lm_eval.tasks.hellaswag.utils import preprocess
    from lm_eval.tasks.winogrande import preprocess_winogrande as wino

    for row, question in zip(ROWS["hellaswag"], asked("hellaswag", tmp_path).questions, strict=True):
        context = f"{row['activity_label']}: {row['ctx_a']} {row['ctx_b'].capitalize()}"
        assert question.contexts[0] == preprocess(context)
        assert question.options == tuple(preprocess(one) for one in row["endings"])
    for row, question in zip(ROWS["winogrande"], asked("winogrande", tmp_path).questions, strict=True):
        assert question.contexts == tuple(wino.doc_to_choice(row))
        assert set(question.endings) == {" " + wino.doc_to_target(row)}
        assert question.right == wino.doc_to_text(row)


@pytest.mark.parametrize("name", sorted(set(ROWS)))
def test_every_shipped_task_renders_all_its_forms(name: str, tmp_path: Path) -> None:
    data = str(write_rows(tmp_path / "rows.jsonl", ROWS[name]))
    task = read_task(name)
    forms = papers(task, data, shots=1, variants=len(task.prompts) + 1)
    assert len({one.hash for one in forms}) >= len(task.prompts)
    for form in forms:
        assert len(form.questions) == len(ROWS[name]) - 1
        assert all(context.strip() for one in form.questions for context in one.contexts)


def test_shipped_tasks_are_all_read_and_named_as_their_files() -> None:
    assert {read_task(name).name for name in shipped()} == set(shipped())
    assert {"jcommonsenseqa", "jsquad", "cloze"} <= set(shipped())


@pytest.mark.parametrize("name", ["jcommonsenseqa", "jnli", "jsquad"])
def test_the_reference_files_are_found_in_their_folder_and_read_whole(name: str) -> None:
    if not JGLUE.is_dir():
        pytest.skip("the reference folder jglue is not here")
    (paper,) = papers(read_task(name), str(JGLUE))
    assert len(paper.questions) == {"jcommonsenseqa": 1116, "jnli": 2431, "jsquad": 4440}[name]
    first = paper.questions[0]
    assert first.right is not None or first.wanted


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("[task]\nname = 'a'\n[prompt]\ntemplte = ''\ntarget = ''", UsageError, "template"),
        ("[task]\nname = 'a'\n[promt]\n", UsageError, "prompt"),
        (
            "[task]\nname = 'a'\n[data]\nmap = {idd = 'x'}\n[prompt]\ntemplate = ''\ntarget = ''",
            UsageError,
            r"did you mean data.map.id\?",
        ),
        ("[task]\nname = 'a'\n[prompt]\ntemplate = 'x'", FormatError, "has no target"),
        ("[task]\nname = 1\n", FormatError, "name is 1, and must be text"),
        ("[task\n", FormatError, "is not TOML"),
        ("[task]\nname='a'\n[prompt]\ntemplate=''\ntarget='t'\n[metric]\nnames=['accuracy']", UsageError, "acc"),
        ("[task]\nname='a'\n[prompt]\ntemplate=''\ntarget='t'\n[generate]\nstop=['']", FormatError, "stop text"),
    ],
)
def test_a_wrong_task_file_says_what_is_wrong_and_what_is_near(text: str, error: Any, said: str) -> None:
    with pytest.raises(error) as raised:
        parse_task(text, "my.toml", "")
    assert raised.value.line.startswith("my.toml: ")
    assert raised.match(said)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"options": None}, "line 2 has no list of texts"),
        ({"options": []}, "line 2 has no list of texts"),
        ({"target": 3}, "line 2 says the right option is 3, there are 3"),
        ({"target": "fish"}, "line 2 says the right option is 'fish'"),
        ({"passage": None, "_drop": "passage"}, "line 2 .*passage"),
        ({"_drop": "target"}, 'line 2 has no column "target"'),
    ],
)
def test_a_row_that_makes_no_question_is_named_by_its_line(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    row = {"id": "q", "passage": "p", "question": "q?", "options": ["a", "b", "c"], "target": 1}
    bad = {**row, **change}
    bad.pop(bad.pop("_drop", ""), None)
    task = read_task(write_task(tmp_path, rows=[row, bad, row]))
    with pytest.raises(FormatError, match=said):
        papers(task, None, shots=0)


def test_an_option_without_text_is_refused_and_equal_options_are_said(tmp_path: Path) -> None:
    row = {"id": "q", "passage": "p", "question": "q?", "options": ["a", "a", "c"], "target": 1}
    task = read_task(write_task(tmp_path, rows=[row]))
    (paper,) = papers(task, None, shots=0)
    assert any("equal options" in note for note in paper.notes)
    text = WORDY.replace('target = "target"', 'target = "target"\njoiner = ""')
    empty = read_task(write_task(tmp_path, text, rows=[{**row, "options": ["", "b"]}]))
    with pytest.raises(FormatError, match="line 1 has an option without any text"):
        papers(empty, None, shots=0)


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ passage.__init__.__globals__ }}",
        "{% include '/etc/passwd' %}",
        "{{ options.append(1) }}",
        "{% for x in range(10**9) %}x{% endfor %}",
    ],
)
def test_a_template_reaches_nothing_but_its_row(tmp_path: Path, template: str) -> None:
    text = WORDY.replace("{{ passage }} {{ question }}", template.replace('"', "'"))
    task = read_task(write_task(tmp_path, text))
    with pytest.raises((FormatError, PolicyError), match=r"line 1 cannot be|no template may"):
        papers(task, None, shots=0)


def test_what_a_row_says_is_never_a_template(tmp_path: Path) -> None:
    row = {"id": "q", "passage": "{{ 7 * 7 }}", "question": "{% x %}", "options": ["{{ a }}", "b"], "target": 0}
    (paper,) = papers(read_task(write_task(tmp_path, rows=[row])), None, shots=0)
    assert paper.questions[0].contexts[0] == "{{ 7 * 7 }} {% x %}"
    assert paper.questions[0].options[0] == "{{ a }}"


def test_examples_come_from_the_seed_and_are_not_asked(tmp_path: Path) -> None:
    task = read_task(write_task(tmp_path))
    one, again = papers(task, None, shots=3), papers(task, None, shots=3)
    assert one == again
    assert len(one[0].questions) == 13
    before = {paper.questions[-1].contexts[0][:60] for paper in papers(task, None, shots=3, variants=4)}
    assert len(before) > 1
    assert papers(task, None, shots=3, limit=2)[0].hash == one[0].hash
    with pytest.raises(UsageError, match="17 worked examples of 16 rows"):
        papers(task, None, shots=17)


def test_a_form_without_examples_or_prompts_comes_once_and_says_so(tmp_path: Path) -> None:
    (paper,) = papers(read_task(write_task(tmp_path)), None, shots=0, variants=5)
    assert any("1 forms" in note for note in paper.notes)


def test_a_task_that_is_nowhere_and_data_that_is_nowhere_say_so(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="jcommonsenseqa"):
        read_task("jcommonsense")
    with pytest.raises(UsageError, match="--data FILE"):
        papers(read_task("piqa"), None)
    with pytest.raises(MissingError, match="holds no file that fits"):
        papers(read_task("jnli"), str(tmp_path))


@given(st.text(max_size=200))
def test_sentences_put_together_are_the_text(text: str) -> None:
    assert "".join(sentences(text)) == text


def test_a_cloze_has_its_right_sentence_where_the_text_has_it_and_no_other_twice() -> None:
    text = "".join(f"Sentence number {k} of the story. " for k in range(30)) + "猫が好きです。犬も好きです。"
    rows = cloze_rows(text, "t", 20, 4, 7)
    assert rows == cloze_rows(text, "t", 20, 4, 7)
    assert rows != cloze_rows(text, "t", 20, 4, 8)
    for row in rows:
        assert row["before"] + row["options"][row["target"]] in text
        assert len({one.strip() for one in row["options"]}) == 4
    with pytest.raises(FormatError, match="too few for 4 options"):
        cloze_rows("One. Two. Three.", "t", 5, 4, 0)


def test_prompts_of_japanese_tasks_are_there_by_version() -> None:
    named: dict[str, set[str]] = {name: {one.name for one in read_task(name).prompts} for name in shipped()}
    for name in ("jcommonsenseqa", "jnli", "marc_ja", "jsquad"):
        assert any(one.startswith("0.2") for one in named[name])
        assert {"0.3", "0.4"} <= named[name]
    assert isinstance(read_task("jnli").prompts[0], Prompt)
    assert files("kaibo.scoring").joinpath("tasks", "jnli.toml").is_file()


def test_stratified_examples_have_every_right_answer_as_often_and_are_drawn_by_the_seed(tmp_path: Path) -> None:
    rows = [
        {
            "id": f"q{k}",
            "passage": "p",
            "question": f"{k}?",
            "options": ["a", "b", "c"],
            "target": 0 if k > 5 else k % 3,
        }
        for k in range(40)
    ]
    task = read_task(write_task(tmp_path, WORDY + "stratify = true\n", rows=rows))
    for shots, counts in ((3, (1, 1, 1)), (5, (2, 2, 1)), (9, None)):
        forms = papers(task, None, shots=shots, variants=3)
        for form in forms:
            before = form.questions[0].contexts[0]
            drawn = [before.count(f"? {one}\n\n") for one in "abc"]
            assert sum(drawn) == shots
            assert counts is None or tuple(sorted(drawn, reverse=True)) == counts
        assert len({form.hash for form in forms}) == 3
        assert papers(task, None, shots=shots, variants=3) == forms
    assert read_task("jnli").stratified
    with pytest.raises(FormatError, match="stratify is 1, and must be true or false"):
        parse_task(WORDY + "stratify = 1\n", "my.toml", "")
