"""What passes and what does not: the judge sits outside, and a sample can give it nothing but values."""

import ast
import gzip
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sandboxed import RIGHT, SHORT, TRICKS, problem_of

from kaibo.errors import FormatError
from kaibo.sandbox import Desk, Judged, Problem, Way, problems

HUMANEVAL = Path("../shared/reference/humaneval/HumanEval.jsonl.gz")


SLY = "def f(x): return C()\nclass C:\n    def __contains__(s, v): return True\n    def __iter__(s): return "


def judged(problem: Problem, way: Way, program: str) -> Judged:
    with Desk(problem, way, SHORT) as desk:
        return desk.judge(program)


def test_what_is_right_passes_in_every_form(problem: Problem, way: Way) -> None:
    assert judged(problem, way, RIGHT).verdict == "passed"


def test_no_trick_passes_in_any_form(problem: Problem, way: Way) -> None:
    with Desk(problem, way, SHORT) as desk:
        found = {trick["name"]: desk.judge(trick["code"]).verdict for trick in TRICKS}
        after = desk.judge(RIGHT).verdict
    assert len(TRICKS) >= 12
    assert {name for name, verdict in found.items() if verdict == "passed"} == set()
    assert after == "passed"


@pytest.mark.parametrize(
    ("verdict", "code"),
    [
        ("wrong", "def answer(x): return x"),
        ("wrong", "def answer(x): return None"),
        ("error", "def answer(x): return 1 / 0"),
        ("error", "def answer(x: return"),
        ("error", "def other(x): return x + 1"),
        ("timeout", "def answer(x):\n    while True: pass"),
        ("memory", "def answer(x): return bytearray(1 << 40)"),
        ("output", "def answer(x):\n    while True: print('x' * 10**6)"),
        ("killed", "import ctypes\ndef answer(x): return ctypes.string_at(0)"),
    ],
)
def test_each_end_has_a_verdict_of_its_own(verdict: str, code: str, problem: Problem, way: Way) -> None:
    assert judged(problem, way, code).verdict == verdict


@pytest.mark.parametrize(
    ("test", "program", "verdict"),
    [
        ("assert f(1) == True", "def f(x): return 1", "wrong"),
        ("assert f(1) == 1", "def f(x): return True", "wrong"),
        ("assert f(1) == 1", "def f(x): return 1.0", "passed"),
        ("assert f(1) == {1: [True]}", "def f(x): return {1: [1]}", "wrong"),
        ("assert f(1) in (0, 1)", "def f(x): return True", "wrong"),
        ("assert f(1) != 0", "def f(x): return 1", "passed"),
        ("assert f(1) == [1, 2]", "def f(x): return (1, 2)", "wrong"),
        ("assert f(1) is None", "def f(x): pass", "passed"),
        ("assert list(f(3)) == [0, 1, 2]", "def f(x):\n    yield from range(x)", "passed"),
        ("assert f(3) == {'a': 1}", "import collections\ndef f(x): return collections.Counter('a')", "passed"),
        ("assert f(1) == 2**80", "def f(x): return 2**80", "passed"),
        ("assert f(1) == 'é\\ud800'", "def f(x): return 'é\\ud800'", "passed"),
        ("assert abs(f(1) - 0.3) < 1e-9", "def f(x): return 0.1 + 0.2", "passed"),
        ("assert abs(f(1) - 0.3) < 1e-9", "def f(x): return float('nan')", "wrong"),
        ("assert 0 < f(1) == 1 < 2", "def f(x): return 1", "passed"),
        ("x = [3, 1]\nf(x)\nassert x == [1, 3]", "def f(x): x.sort()", "passed"),
        ("x = [3, 1]\nassert f(x) == sorted(x)", "def f(x):\n    x.clear()\n    return x", "wrong"),
        ("try:\n    f(1)\n    assert False\nexcept ValueError: pass", "def f(x): raise ValueError('no')", "passed"),
        ("try:\n    f(1)\nexcept Exception: pass\nassert f(2) == 3", "import sys\ndef f(x): sys.exit()", "error"),
        (
            "n = Node(1)\nn.next = Node(2)\nassert f(n) == 3",
            "class Node:\n    def __init__(s, v): s.v = v\ndef f(n): return n.v + n.next.v",
            "passed",
        ),
        ("assert f(1) == f(1)", "def f(x): return object()", "wrong"),
        ("assert all(map(lambda x: f(x) == x, range(3)))", "def f(x): raise StopIteration", "error"),
        ("assert 3 in f(1)", f"{SLY}iter([1])", "wrong"),
        ("assert 3 in f(1)", f"{SLY}iter([1, 3])", "passed"),
        ("assert len(f(2)) == 2", "class L:\n    def __len__(s): return 2\ndef f(x): return L()", "passed"),
        ("for i in range(3): assert f(i) == g(i)", "def f(x): return x\ng = f", "passed"),
    ],
)
def test_values_are_compared_by_kind(test: str, program: str, verdict: str, way: Way, tmp_path: Path) -> None:
    problem = problem_of(tmp_path, test_list=[test])
    found = judged(problem, way, program)
    assert found.verdict == verdict, found


def test_a_helper_of_the_prompt_is_the_references_and_not_the_samples(way: Way, tmp_path: Path) -> None:
    """A sample that makes the test's helper say 0 once passed HumanEval/32."""
    prompt = "def poly(x):\n    return x * x - 4\n\ndef zero():\n    '''A zero of poly.'''\n"
    test = "def check(candidate):\n    assert abs(poly(candidate())) < 1e-6\n"
    problem = problem_of(tmp_path, prompt=prompt, entry_point="zero", canonical_solution="    return 2.0\n", test=test)
    assert judged(problem, way, prompt + "    return -2\n").verdict == "passed"
    assert judged(problem, way, prompt + "    return 7\n\ndef poly(x):\n    return 0\n").verdict == "wrong"


def test_an_expected_value_that_calls_the_function_is_the_references(way: Way, tmp_path: Path) -> None:
    test = "def check(candidate):\n    assert candidate(3) == answer(3)\n"
    problem = problem_of(tmp_path, prompt="", entry_point="answer", canonical_solution=RIGHT, test=test)
    assert judged(problem, way, RIGHT).verdict == "passed"
    assert judged(problem, way, "def answer(x): return 0").verdict == "wrong"


@pytest.mark.parametrize(
    "test", ["def check(candidate): pass", "def check(candidate:", "", "import nothing_of_that_name"]
)
def test_a_test_that_cannot_judge_is_the_problems_fault(test: str, way: Way, tmp_path: Path) -> None:
    problem = problem_of(tmp_path, prompt="", entry_point="answer", test=test)
    with pytest.raises(FormatError, match="cannot be judged"):
        judged(problem, way, RIGHT)


def test_one_desk_serves_samples_that_do_not_know_of_each_other(problem: Problem, way: Way) -> None:
    with Desk(problem, way, SHORT) as desk:
        programs = [RIGHT, "while True: pass", RIGHT, "import os\nos._exit(0)", "def answer(x): return x", RIGHT]
        found = [desk.judge(each).verdict for each in programs]
    assert found == ["passed", "timeout", "passed", "error", "wrong", "passed"]


@pytest.mark.slow
@pytest.mark.skipif(not HUMANEVAL.exists(), reason="the reference data is not here")
def test_every_solution_of_humaneval_passes_and_none_that_is_broken(way: Way) -> None:
    known = problems(HUMANEVAL)
    lines = gzip.decompress(HUMANEVAL.read_bytes()).splitlines()
    solved = {entry["task_id"]: entry["canonical_solution"] for entry in map(json.loads, lines)}

    def ends(name: str) -> tuple[str, str]:
        program = known[name].program(solved[name])
        tree = ast.parse(program)
        function = next(each for each in tree.body[::-1] if getattr(each, "name", "") == known[name].entry)
        _broken(function)
        with Desk(known[name], way) as desk:
            return desk.judge(program).verdict, desk.judge(ast.unparse(tree)).verdict

    with ThreadPoolExecutor(2) as pool:
        found = dict(zip(known, pool.map(ends, known), strict=True))
    assert len(found) == 164
    assert {name: each for name, each in found.items() if each[0] != "passed" or each[1] == "passed"} == {}


def _broken(function: ast.AST) -> None:
    """What it returns is wrapped, so that nothing equals it any more."""
    for node in ast.walk(function):
        if isinstance(node, ast.Return) and node.value is not None:
            node.value = ast.List([node.value, node.value], ast.Load())


FORGED = """
import gc
CHANNEL = next(each for each in gc.get_objects() if type(each).__name__ == "Channel")
def f(x):
    CHANNEL.say(%r, %r)
"""


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("raised", '{"tuple":["exec","exec","raise SystemExit"]}'),
        ("raised", '{"tuple":[3,[],{"tuple":[]}]}'),
        ("raised", '{"tuple":["StopIteration","StopIteration",""]}'),
        ("value", '{"tuple":[{"list":[]},null]}'),
        ("value", '{"tuple":[[],[[]]]}'),
        ("value", '{"tuple":[{"range":[0,1e99]},null]}'),
        ("value", "[" * 100_000),
        ("value", ""),
        ("judged", '{"tuple":["passed","",1]}'),
        ("ready", ""),
    ],
)
def test_what_a_sample_writes_to_the_channel_itself_is_a_value_at_most(
    word: str, text: str, way: Way, tmp_path: Path
) -> None:
    """An exception named `exec` was once called at the desk, and a value could once come with changed arguments."""
    problem = problem_of(tmp_path, test_list=["x = [3, 1]\nassert f(x) == sorted(x)"])
    assert judged(problem, way, FORGED % (word, text)).verdict in ("wrong", "error", "killed")
