"""`kaibo score --against`: what a text costs more under one model than under another, paired token by token."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kaibo
from kaibo.chapters.score.ask import score_against, scores
from kaibo.chapters.score.lost import lost
from kaibo.cli import main_loop
from kaibo.scoring.texts.texts import read_texts
from kaibo.vocabulary import TokenLog
from scoring_models import TEXT, save_causal


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lost")
    for name, seed in (("base", 0), ("same", 0), ("other", 1)):
        save_causal(folder / name, "llama", seed)
    (folder / "text.txt").write_text(TEXT * 8, encoding="utf-8")
    return folder


def log_of(place: Path) -> TokenLog:
    settings = kaibo.Settings(store=place / "store")
    (scored,) = scores(place / "base", read_texts(place / "text.txt"), settings=settings)
    return scored.logs[0]


def test_the_same_function_loses_nothing_and_another_what_its_own_scores_say(place: Path) -> None:
    settings = kaibo.Settings(store=place / "store")
    several = [place / "base", place / "same", place / "other"]
    text = place / "text.txt"
    _, found = score_against(several[0], several[1:], text, settings=settings)
    same, other = found.rows
    assert (same.nats_more, same.nats_more_low, same.nats_more_high, same.less_likely, same.most_lost) == (
        0,
        0,
        0,
        0,
        0,
    )
    first, _, third = kaibo.score(several, text, settings=settings).rows
    assert other.nats_more == pytest.approx((third.nats - first.nats) / first.tokens)
    assert other.ppl_times == pytest.approx(third.ppl / first.ppl)
    assert other.nats_more_low < other.nats_more < other.nats_more_high


def test_the_interval_holds_the_true_loss_as_often_as_it_says_where_the_text_itself_is_uneven(place: Path) -> None:
    log, rng = log_of(place), np.random.default_rng(0)
    hits = 0
    for _ in range(200):
        hard = rng.exponential(3.0, len(log)).astype(np.float32)  # the text: the same under both
        more = rng.normal(0.02, 0.1, len(log)).astype(np.float32)
        base, model = replace(log, nats=np.where(log.scored, hard, np.nan)), log
        model = replace(log, nats=np.where(log.scored, hard + more, np.nan))
        row = lost("m", "b", [model], [base])
        assert row.nats_more_low is not None
        assert row.nats_more_high is not None
        hits += row.nats_more_low <= 0.02 <= row.nats_more_high
    assert 180 <= hits <= 199  # 95 % of 200, within three errors


def test_other_tokens_and_too_few_have_no_numbers_and_say_why(place: Path) -> None:
    log = log_of(place)
    shifted = replace(log, token_id=log.token_id + 1)
    row = lost("m", "b", [shifted], [log])
    assert row.nats_more is None
    assert row.why["nats_more"] == "the two models read other tokens"
    none = replace(log, nats=np.full(len(log), np.nan, np.float32))
    assert lost("m", "b", [none], [none]).why["nats_more"] == "no token was scored"
    few = replace(log, nats=np.where(np.arange(len(log)) < 9, 1.0, np.nan).astype(np.float32))
    short = lost("m", "b", [few], [few])
    assert (short.nats_more, short.nats_more_low) == (0.0, None)
    assert "fewer than 16" in short.why["nats_more_low"]


def test_the_command_prints_both_tables_and_json_has_the_pairs(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["score", str(place / "other"), "--against", str(place / "base"), "--text", str(place / "text.txt")]
    command += ["--store", str(place / "store")]
    assert main_loop(command) == 0
    assert "nats more per token" in capsys.readouterr().out
    assert main_loop([*command, "--json"]) == 0
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert [row["model"] for row in document["results"]] == [str(place / "base"), str(place / "other")]
    (pair,) = document["pairs"]
    assert pair["base"] == str(place / "base")
    assert math.isclose(pair["ppl_times"], math.exp(pair["nats_more"]))
    for model, base in (("absent", str(place / "base")), (str(place / "other"), "absent")):
        assert main_loop(["score", model, "--against", base, *command[4:], "--json"]) == 4
        document = json.loads(capsys.readouterr().out)
        assert [error["file"] for error in document["errors"]] == ["absent"]
        assert document.get("pairs", []) == []
