"""pass@k: the estimator against a count of all draws, and the command from files of samples to its figures."""

import gzip
import itertools
import json
import math
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaibo.chapters.pass_at_k.ask import PassOptions, pass_at
from kaibo.chapters.pass_at_k.estimate import pairs_of, pass_at_k, rows_of
from kaibo.chapters.pass_at_k.rows import Tally
from kaibo.desk.measuring import Settings
from kaibo.errors import FormatError, KaiboError, PolicyError
from kaibo.figures import figure
from kaibo.sandbox import VERDICTS, chosen

CHECK = "def check(candidate):\n    assert candidate(1) == 2\n    assert candidate(-1) == 0\n"
GOOD, BAD = "    return x + 1\n", "    return x\n"


@given(st.integers(1, 9).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))))
def test_the_estimate_is_the_share_of_draws_that_hold_a_pass(drawn: tuple[int, int, int]) -> None:
    n, c, k = drawn
    draws = list(itertools.combinations([True] * c + [False] * (n - c), k))
    assert pass_at_k(n, c, k) == pytest.approx(float(Fraction(sum(map(any, draws)), len(draws))), abs=1e-12)


def test_the_estimate_is_exact_where_binomials_overflow() -> None:
    n, c, k = 5000, 3, 1000
    exact = 1 - Fraction(math.comb(n - c, k), math.comb(n, k))
    assert pass_at_k(n, c, k) == pytest.approx(float(exact), rel=1e-12)


@pytest.mark.parametrize(("n", "c", "k"), [(3, 4, 1), (3, -1, 1), (3, 1, 4), (3, 1, 0)])
def test_what_cannot_be_drawn_is_refused(n: int, c: int, k: int) -> None:
    with pytest.raises(ValueError, match="pass@"):
        pass_at_k(n, c, k)


def test_the_estimator_has_no_bias_and_its_error_is_that_of_problems() -> None:
    """A world where the truth is known: problems of known chances, a thousand draws of the whole benchmark."""
    world = np.random.default_rng(7)
    chances = world.uniform(0, 0.4, 40)
    truth = float(np.mean(1 - (1 - chances) ** 5))
    rows = []
    for _ in range(1000):
        drawn = world.permutation(chances)
        tallies = [Tally(str(at), 10, int(world.binomial(10, chance))) for at, chance in enumerate(drawn)]
        rows += rows_of("m", tallies, [5], {}, "none")
    values = np.array([row.value for row in rows])
    assert abs(values.mean() - truth) < 4 * values.std() / math.sqrt(len(values))
    assert all(row.n == 40 and row.stderr > 0 for row in rows)


def test_a_pair_is_compared_by_problem_and_a_difference_of_none_is_none() -> None:
    a = [Tally(str(at), 4, at % 5) for at in range(20)]
    same = pairs_of(("a", a), ("b", a), [1, 4])
    assert [row.difference for row in same] == [0.0, 0.0]
    assert [row.p for row in same] == [None, None]
    better = pairs_of(("a", a), ("b", [Tally(one.problem, 4, 0) for one in a]), [1])[0]
    assert better.difference == pytest.approx(0.5)
    assert better.only_a == 16
    assert better.p < 0.01
    assert better.low < better.difference < better.high


def test_under_no_difference_the_test_of_pairs_holds_its_level() -> None:
    world = np.random.default_rng(11)
    hits = 0
    for _ in range(200):
        chances = world.uniform(0, 1, 30)
        one, other = ([Tally(str(at), 5, int(world.binomial(5, p))) for at, p in enumerate(chances)] for _ in range(2))
        hits += pairs_of(("a", one), ("b", other), [1])[0].p < 0.05
    assert hits <= 22, "about 10 of 200 are to be expected"


@pytest.fixture
def files(tmp_path: Path) -> SimpleNamespace:
    """Two problems, four samples of each: three and one of them right."""
    problem = {"prompt": "def f(x):\n", "entry_point": "f", "test": CHECK, "canonical_solution": GOOD}
    of = tmp_path / "problems.jsonl.gz"
    of.write_bytes(
        gzip.compress("".join(json.dumps({"task_id": f"T/{at}", **problem}) + "\n" for at in range(2)).encode())
    )
    samples = tmp_path / "samples.jsonl"
    entries = (
        [("T/0", GOOD)] * 3 + [("T/0", BAD)] + [("T/1", GOOD)] + [("T/1", BAD + " " * at + "\n") for at in range(3)]
    )
    samples.write_text("".join(json.dumps({"task_id": name, "completion": text}) + "\n" for name, text in entries))
    try:
        chosen()
    except PolicyError as error:
        pytest.skip(error.message)
    return SimpleNamespace(of=of, samples=samples, settings=Settings(tmp_path / "store"), folder=tmp_path)


def test_samples_are_judged_and_counted(files: SimpleNamespace) -> None:
    found = pass_at(files.samples, files.of, options=PassOptions([1, 4, 5]), settings=files.settings)
    one, four, five = found.passes.rows
    assert one.value == pytest.approx((3 / 4 + 1 / 4) / 2)
    assert one.stderr == pytest.approx(np.std([0.75, 0.25], ddof=1) / math.sqrt(2))
    assert four.value == 1.0
    assert five.value is None
    assert "fewer than 5" in five.why["value"]
    assert (one.n, one.samples, set(one.verdicts)) == (2, 8, set(VERDICTS))
    assert (one.verdicts["passed"], one.verdicts["wrong"]) == (4, 4)
    assert one.sandbox != "none"
    assert figure(found.curves).to_dict()


def test_what_the_store_knows_is_not_run_again(files: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    first = pass_at(files.samples, files.of, settings=files.settings)
    monkeypatch.setattr("kaibo.collect.verdicts.Desk", None)
    again = pass_at(files.samples, files.of, settings=files.settings)
    assert again.passes.records() == first.passes.records()
    with pytest.raises(TypeError):
        pass_at(files.samples, files.of, options=PassOptions([2], chosen_limits()), settings=files.settings)


def chosen_limits() -> object:
    from kaibo.sandbox import Limits

    return Limits(seconds=4.0)


def test_two_files_are_compared_over_the_problems_of_both(files: SimpleNamespace) -> None:
    other = files.folder / "other.jsonl"
    other.write_text("".join(json.dumps({"task_id": "T/0", "solution": f"def f(x):\n{BAD}"}) + "\n" for _ in range(4)))
    found = pass_at([files.samples, other], files.of, options=PassOptions([1]), settings=files.settings)
    (pair,) = found.pairs.rows
    assert (pair.n, pair.difference, pair.only_a) == (1, 0.75, 1)
    assert any("1 of 2 problems" in note for note in found.passes.notes)


def test_a_problem_that_cannot_judge_is_told_and_the_others_go_on(files: SimpleNamespace) -> None:
    lines = gzip.decompress(files.of.read_bytes()).decode().splitlines()
    broken = json.dumps({**json.loads(lines[1]), "test": "def check(candidate:"})
    files.of.write_bytes(gzip.compress(f"{lines[0]}\n{broken}\n".encode()))
    told: list[KaiboError] = []
    found = pass_at(files.samples, files.of, settings=files.settings, on_error=told.append)
    assert [error.exit for error in told] == [3]
    assert "T/1" in told[0].line
    assert found.passes.rows[0].n == 1


MALFORMED_SAMPLES = (
    *("", "[]", "{", '{"task_id": "T/9", "completion": "x"}', '{"task_id": "T/0"}', '{"completion": "x"}', "\xff"),
    *('{"task_id": "T/0", "completion": 3}', "[" * 100_000),
)
MALFORMED_PROBLEMS = (
    *({}, {"task_id": "T/0"}, {"task_id": "T/0", "test_list": [3]}, {"task_id": "T/0", "test_list": []}),
    *({"task_id": "T/0", "prompt": 3, "entry_point": "f", "test": CHECK}, {"task_id": [], "test_list": ["f()"]}),
    {"task_id": "T/0", "prompt": "", "entry_point": "f", "canonical_solution": "", "base_input": 3},
)


@pytest.mark.parametrize("line", MALFORMED_SAMPLES)
def test_malformed_samples_are_refused_with_their_line(files: SimpleNamespace, line: str) -> None:
    files.samples.write_bytes(line.encode("latin-1") + b"\n")
    with pytest.raises(FormatError):
        pass_at(files.samples, files.of, settings=files.settings)


@pytest.mark.parametrize("problem", MALFORMED_PROBLEMS)
def test_malformed_problems_are_refused(files: SimpleNamespace, problem: dict) -> None:
    of = files.folder / "other.jsonl"
    of.write_text(json.dumps(problem) + "\n")
    with pytest.raises(FormatError):
        pass_at(files.samples, of, settings=files.settings)


def test_without_walls_it_refuses_unless_told_and_stamps_every_row(
    files: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kaibo.sandbox.choosing._standing", lambda name: f"{name} is not here")
    with pytest.raises(PolicyError, match="no sandbox stands"):
        pass_at(files.samples, files.of, settings=files.settings)
    found = pass_at(files.samples, files.of, options=PassOptions(accept_unsandboxed=True), settings=files.settings)
    assert {row.sandbox for row in found.passes.rows} == {"none"}
    assert any("without a sandbox" in note for note in found.passes.notes)
