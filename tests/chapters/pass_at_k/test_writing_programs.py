"""A model writes programs, each kept as it is written; from its answers programs are made, and they are judged."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from kaibo.chapters.eval.ask_code import CodeOptions, evaluate_code
from kaibo.chapters.eval.programs import code_of, program_of
from kaibo.desk.measuring import Settings
from kaibo.errors import PolicyError, UsageError
from kaibo.sandbox import chosen, problems

CHECK = "def check(candidate):\n    assert candidate(1) == 2\n"
PROMPT = "from math import pi\n\ndef f(x):\n    '''One more.'''\n"


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ("x = 1", "x = 1"),
        ("```\nx = 1\n```", "x = 1\n"),
        ("Sure!\n```python\nx = 1\n```\nDone.\n```\ny\n```", "x = 1\n"),
        ("```python\nx = 1", "x = 1"),
        ("[PYTHON]\nx = 1\n[/PYTHON]\nDone.", "x = 1\n"),
        ("\nx = 1\n[/PYTHON]", "x = 1\n"),
        ("[PYTHON]\n```python\nx = 1\n```\n[/PYTHON]", "x = 1\n"),
        ("", ""),
    ],
)
def test_the_code_of_an_answer_is_what_its_fences_or_tags_hold(answer: str, code: str) -> None:
    assert code_of(answer) == code


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "small.jsonl"
    rows = [{"task_id": f"T/{at}", "prompt": PROMPT, "entry_point": "f", "test": CHECK} for at in range(2)]
    made.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return made


def test_an_answer_keeps_what_its_prompt_imports(file: Path) -> None:
    problem = problems(file)["T/0"]
    whole = program_of(problem, "```python\ndef f(x):\n    return pi\n```", True)
    body = program_of(problem, "```python\n    return pi\n```", True)
    plain = program_of(problem, "    return pi\n", False)
    for program in (whole, body, plain):
        names: dict = {}
        exec(program, names)
        assert 3 < names["f"](1) < 4
    assert whole.count("def f") == 1


def test_several_greedy_samples_are_refused() -> None:
    with pytest.raises(UsageError, match="all the same"):
        CodeOptions(samples=2)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    pytest.importorskip("torch")
    from scoring_models import save_causal

    try:
        chosen()
    except PolicyError as error:
        pytest.skip(error.message)
    save_causal(tmp_path / "model", context=256)
    return tmp_path / "model"


@pytest.mark.slow
def test_samples_are_kept_one_by_one_and_drawn_once(
    model: Path, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(tmp_path / "store")
    three = CodeOptions(samples=3, temperature=1.0, max_tokens=4)
    found = evaluate_code([model], file, code=three, settings=settings)
    (row,) = found.scores.rows
    assert (row.metric, row.n, row.task) == ("pass@1", 2, "small")
    assert row.value == 0.0
    again = evaluate_code([model], file, code=three, settings=settings)
    assert again.scores.records() == found.scores.records()
    drawn: list[object] = []
    from kaibo import llama

    before = llama.generate
    monkeypatch.setattr(llama, "generate", lambda *given: drawn.append(given) or before(*given))
    evaluate_code([model], file, code=three, settings=settings)
    assert not drawn
    evaluate_code([model], file, code=replace(three, samples=5), settings=settings)
    assert len(drawn) == 2, "two more, since both problems are one under two names"
