from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kaibo
from kaibo.cli import main_loop
from kaibo.errors import UsageError
from kaibo.scoring.combining import weights_of
from kaibo.store import Store
from made import quiet
from scoring_models import save_causal, save_tokenizer

WEIGHTS = st.integers(-100, 100).map(lambda hundredths: hundredths / 100)


@given(WEIGHTS, st.integers(1, 100).map(lambda hundredths: hundredths / 100))
def test_a_combination_is_read_as_it_is_written(one: float, other: float) -> None:
    assert weights_of(f"{one}*A + {other}B", 2) == (one, other)
    assert weights_of(f" {other} * B{'+' if one >= 0 else ''}{one}A", 2) == (one, other)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "cannot be read"),
        ("A B", "cannot be read"),
        ("A*0.5", "cannot be read"),
        ("A-C", "names C"),
        ("2*A-B", "weight 2"),
        ("A+A", "weight 2"),
        ("-A", "no weight above 0"),
        ("A-A", "no weight above 0"),
        ("a-b", "cannot be read"),
        ("nan*A", "cannot be read"),
    ],
)
def test_a_combination_that_says_nothing_is_refused(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        weights_of(text, 2)


@settings(deadline=None)
@given(st.integers(2, 9), WEIGHTS, WEIGHTS, st.integers(0, 2**31))
def test_what_is_left_is_what_numpy_leaves_and_a_model_less_itself_leaves_nothing(
    size: int, one: float, other: float, seed: int
) -> None:
    import torch

    from kaibo.scoring.decoding import combine

    random = np.random.default_rng(seed)
    a, b = random.dirichlet(np.ones(size)), random.dirichlet(np.ones(size))
    found = combine([torch.from_numpy(a), torch.from_numpy(b)], [one, other]).numpy()
    assert found == pytest.approx(np.maximum(one * a + other * b, 0), abs=1e-15)
    same = combine([torch.from_numpy(a), torch.from_numpy(a)], [abs(one), -abs(one)]).numpy()
    assert not same.any()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("decode")
    for place, name in enumerate(("a", "b", "run/checkpoint-10", "run/checkpoint-5")):
        save_causal(path / name, seed=place)
    save_causal(path / "neox", "gpt_neox")
    return path


def greedy(a: Path, b: Path, weights: tuple[float, float], prompt: str, count: int) -> list[int]:
    """The same by transformers without a cache: every step reads everything again."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with quiet(), torch.no_grad():
        tokenizer = AutoTokenizer.from_pretrained(a)
        models = [AutoModelForCausalLM.from_pretrained(path).eval() for path in (a, b)]
        ids: list[int] = list(tokenizer(prompt)["input_ids"])
        start = len(ids)
        for _ in range(count):
            chances = [model(torch.tensor([ids])).logits[0, -1].double().softmax(-1) for model in models]
            mixed = (weights[0] * chances[0] + weights[1] * chances[1]).clamp(min=0)
            if int(mixed.argmax()) == 1:
                break
            ids.append(int(mixed.argmax()))
    return ids[start:]


@pytest.mark.parametrize("text", ["A-B", "0.5*A+0.5*B", "-0.3A+B"])
@pytest.mark.parametrize("other", ["b", "neox"])
def test_greedy_text_of_two_models_is_what_transformers_gives_step_by_step(
    folder: Path, tmp_path: Path, text: str, other: str
) -> None:
    from kaibo.llama import Sampling, open_causal
    from kaibo.scoring.decoding import Joint, decode

    weights = weights_of(text, 2)
    with quiet():
        joint = Joint(tuple(open_causal(folder / name, dtype="float32") for name in ("a", other)), weights)
    prompt = "the quick"
    found = decode(joint, joint.tokenizer.encode(prompt), Sampling(max_tokens=12))
    assert list(found.ids) == greedy(folder / "a", folder / other, (weights[0], weights[1]), prompt, 12)
    assert all(0 < mass <= 1 + 1e-12 for mass in found.masses)
    if sum(weights) == 1:
        assert found.masses == pytest.approx([1.0] * len(found.masses))


def test_one_model_alone_writes_what_it_always_writes(folder: Path) -> None:
    from kaibo.llama import Sampling, generate, open_causal
    from kaibo.scoring.decoding import Joint, decode

    a, b = (open_causal(folder / name) for name in "ab")
    ids = Joint((a, b), (1.0, 0.0)).tokenizer.encode("over the")
    alone = generate(a, ids, Sampling(max_tokens=15))
    assert decode(Joint((a, b), (1.0, 0.0)), ids, Sampling(max_tokens=15)).ids == alone.ids


def test_draws_follow_the_seed(folder: Path) -> None:
    def written(seed: int) -> str:
        what = kaibo.options.DecodeSettings("0.5A+0.5B", max_tokens=12, top_p=0.9, seed=seed)
        return kaibo.decode([folder / "a", folder / "b"], "the fox", what=what).texts.rows[0].text

    assert written(3) == written(3)
    assert len({written(seed) for seed in range(3)}) > 1


def test_models_without_a_difference_leave_nothing_and_say_so(folder: Path) -> None:
    (row,) = kaibo.decode([folder / "a", folder / "a"], "the fox").texts.rows
    assert (row.ended, row.text, row.mass) == ("empty", "", 0.0)
    assert "no token" in row.why["ended"]


def test_vocabularies_that_differ_are_refused_with_the_first_difference(folder: Path, tmp_path: Path) -> None:
    other = save_causal(tmp_path / "other")
    save_tokenizer(other, vocabulary=280)
    with pytest.raises(UsageError, match=r'another vocabulary than .*: ".*" is id none there and \d+ here|is id \d+'):
        kaibo.decode([folder / "a", other], "the fox")
    with pytest.raises(UsageError, match="takes two models"):
        kaibo.decode([folder / "a"], "the fox")


def test_a_series_scores_what_was_written_into_the_log_and_in_the_order_of_its_steps(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("the quick\n\nthe lazy dog\n")
    arguments = ["decode", str(folder / "a"), str(folder / "b"), "--prompts", str(prompts), "--max-tokens", "40"]
    code = main_loop([*arguments, "--score-by", str(folder / "run"), "--store", str(tmp_path / "store"), "--json"])
    document = json.loads(capsys.readouterr().out)
    assert code == 0, document["errors"]
    assert [row["prompt"] for row in document["results"]] == ["the quick", "the lazy dog"]
    for row in document["inverse_scaling"]:
        assert row["steps"] == [5, 10]
        assert row["rise"] == pytest.approx(row["mean_nats"][1] - row["mean_nats"][0])
        assert row["rise_low"] < row["rise"] < row["rise_high"]
    kept = Store(tmp_path / "store").sql("select distinct model_id, text_hash from token_log").num_rows
    assert kept == 4


def logs(nats: list[np.ndarray], sequence: int) -> list[Any]:
    from kaibo.chapters.decode.inverse_scaling import SequenceLog
    from kaibo.vocabulary import LogKey, TokenLog

    found = []
    for at, values in enumerate(nats):
        none, places = np.full(len(values), -1, np.int32), np.arange(len(values))
        spans = np.stack([places, places + 1], axis=1)
        log = TokenLog(
            LogKey(f"m{at}", f"f{at}", "t", "x", "s"), "d", none, none, none, places, none + 2, spans, spans,
            values.astype(np.float32), none,
        )  # fmt: skip
        found.append(SequenceLog(sequence, "text", f"m{at}", f"m{at}", at, log))
    return found


def test_a_rise_that_was_put_in_is_found_and_noise_is_called_as_seldom_as_it_says() -> None:
    from kaibo.chapters.decode.inverse_scaling import inverse_scaling

    random = np.random.default_rng(0)
    called, covered, runs = 0, 0, 300
    for _ in range(runs):
        first = random.exponential(3.0, 100)
        (row,) = inverse_scaling(logs([first, first + random.standard_normal(100)], 1)).rows
        assert row.p is not None
        assert row.rise_low is not None
        assert row.rise_high is not None
        called += row.p < 0.05
        covered += row.rise_low <= 0 <= row.rise_high
    assert 0.02 <= called / runs <= 0.09
    assert called + covered == runs
    first = random.exponential(3.0, 100)
    risen = logs([first, first + 0.5 + 0.5 * random.standard_normal(100), first + 1.0], 2)
    flat = logs([first, first + random.standard_normal(100), first - 1 + random.standard_normal(100)], 1)
    rows = inverse_scaling([*flat, *risen]).rows
    assert [row.inverse for row in rows] == [False, True]
    assert rows[1].kendall == 1
    assert rows[1].rise == pytest.approx(1.0)
    short = inverse_scaling(logs([first[:5], first[:5]], 1)).rows[0]
    assert short.rise is None
    assert "fewer than 16" in short.why["rise"]
    assert math.isfinite(short.mean_nats[0])
