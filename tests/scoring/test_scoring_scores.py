from __future__ import annotations

import math
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kaibo
from kaibo.errors import FormatError, KaiboError, StoppedError, UsageError
from kaibo.scoring.planning import ScoreSettings
from kaibo.store import Store
from made import quiet
from scoring_models import TEXT, save_causal

KINDS = ("llama", "gpt_neox", "gpt2")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("causal")
    return {kind: save_causal(folder / kind, kind) for kind in KINDS}


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text(TEXT * 4, encoding="utf-8")
    return path


def kept(tmp_path: Path, name: str = "store") -> kaibo.Settings:
    return kaibo.Settings(store=tmp_path / name)


def independent(folder: Path, text: str, window: int, stride: int) -> list[float]:
    """Nats of every token by transformers, one window at a time, softmax in float64."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with quiet():
        tokenizer = AutoTokenizer.from_pretrained(folder)
        model = AutoModelForCausalLM.from_pretrained(folder).eval()
    ids = tokenizer(text)["input_ids"]
    found: list[float] = []
    end, scored = min(window, len(ids)), 1
    while scored < len(ids):
        begin = max(0, end - window)
        with torch.no_grad():
            logits = model(torch.tensor([ids[begin:end]])).logits[0].double().log_softmax(-1)
        found += [-float(logits[at - 1 - begin, ids[at]]) for at in range(scored, end)]
        scored, end = end, min(len(ids), end + stride)
    return found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batch", [1, 70, 4096])
def test_nats_equal_those_of_transformers_for_every_batch_size(
    models: dict[str, Path], text: Path, tmp_path: Path, kind: str, batch: int
) -> None:
    how = ScoreSettings(window=32, stride=12, batch=batch)
    (row,) = kaibo.score(models[kind], text, how=how, settings=kept(tmp_path))
    expected = independent(models[kind], TEXT * 4, 32, 12)
    assert row.tokens == len(expected)
    assert row.nats == pytest.approx(math.fsum(expected), rel=1e-6)
    logs = Store(tmp_path / "store").parts.read("token_log").to_pylist()
    by_place = sorted(logs, key=lambda one: one["position"])
    assert [one["nats"] for one in by_place] == pytest.approx(expected, rel=2e-5, abs=2e-5)


def test_a_scored_token_stands_in_the_log_with_its_bytes_and_what_was_before_it(
    models: dict[str, Path], text: Path, tmp_path: Path
) -> None:
    kaibo.score(models["llama"], text, how=ScoreSettings(window=32, stride=12), settings=kept(tmp_path))
    rows = sorted(Store(tmp_path / "store").parts.read("token_log").to_pylist(), key=lambda one: one["position"])
    data = text.read_bytes()
    assert b"".join(data[row["byte_begin"] : row["byte_end"]] for row in rows) == data
    assert [row["context_length"] for row in rows[:3]] == [1, 2, 3]
    assert min(row["context_length"] for row in rows[32:]) >= 32 - 12
    assert all(row["item"] is None and row["branch"] is None for row in rows)


def test_a_text_without_a_leading_token_has_its_first_one_unscored(text: Path, tmp_path: Path) -> None:
    model = save_causal(tmp_path / "plain", bos=False)
    (row,) = kaibo.score(model, text, settings=kept(tmp_path))
    assert row.unscored == 1
    (led,) = kaibo.score(model, text, how=ScoreSettings(bos="always"), settings=kept(tmp_path))
    assert (led.unscored, led.tokens) == (0, row.tokens + 1)
    first = Store(tmp_path / "store").sql("select nats from token_log where position = 0 order by nats").to_pylist()
    assert [one["nats"] is None for one in first] == [False, True]


def test_what_was_scored_is_never_scored_again_and_no_model_is_given_another_ones(
    models: dict[str, Path], text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import kaibo.scoring.losses as losses

    other = save_causal(tmp_path / "other", seed=1)
    first = kaibo.score([models["llama"], other], text, settings=kept(tmp_path)).rows
    assert first[0].nats != first[1].nats

    def fail(*given: Any) -> Any:
        raise AssertionError("scored again")

    monkeypatch.setattr(losses, "batch_nats", fail)
    renamed = tmp_path / "renamed.txt"
    renamed.write_bytes(text.read_bytes())
    again = kaibo.score([other, models["llama"]], renamed, settings=kept(tmp_path)).rows
    assert [row.nats for row in again] == [first[1].nats, first[0].nats]
    with pytest.raises(AssertionError, match="scored again"):
        kaibo.score(other, text, how=ScoreSettings(stride=8), settings=kept(tmp_path))


class Interrupt:
    """Sends a signal when the so-many-th batch is done."""

    def __init__(self, after: int) -> None:
        self.left = after

    def begin(self, label: str, total: int, unit: str = "bytes") -> None:
        self.scoring = unit == "tokens"

    def advance(self, done: int) -> None:
        self.left -= self.scoring
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("after", [1, 3])
def test_an_interrupted_run_goes_on_and_ends_with_the_same_bytes(
    models: dict[str, Path], text: Path, tmp_path: Path, after: int
) -> None:
    how = ScoreSettings(window=16, batch=64)
    kaibo.score(models["llama"], text, how=how, settings=kept(tmp_path, "whole"))
    stopped = kaibo.Settings(store=tmp_path / "parts", progress=Interrupt(after))
    with pytest.raises(StoppedError):
        kaibo.score(models["llama"], text, how=how, settings=stopped)
    before = Store(tmp_path / "parts").parts.read("token_log").num_rows
    kaibo.score(models["llama"], text, how=how, settings=kept(tmp_path, "parts"))
    whole, parts = (
        Store(tmp_path / name).sql("select * from token_log order by position") for name in ("whole", "parts")
    )
    assert 0 < before < whole.num_rows
    assert parts.equals(whole)


def test_checkpoints_with_weights_swapped_in_place_score_as_if_loaded_alone(
    models: dict[str, Path], text: Path, tmp_path: Path
) -> None:
    other = save_causal(tmp_path / "other", seed=1)
    together = kaibo.score([models["llama"], other], text, settings=kept(tmp_path, "both")).rows
    alone = kaibo.score(other, text, settings=kept(tmp_path, "one")).rows
    assert together[1].nats == alone[0].nats


def test_models_with_other_tokenizers_are_not_compared_by_token(
    models: dict[str, Path], text: Path, tmp_path: Path
) -> None:
    from scoring_models import save_tokenizer

    other = save_causal(tmp_path / "other", seed=1)
    save_tokenizer(other, vocabulary=280)
    rows = kaibo.score([models["llama"], other], text, settings=kept(tmp_path)).rows
    assert [row.ppl for row in rows] == [None, None]
    assert "bits per byte" in rows[0].why["ppl"]
    assert all(row.bits_per_byte > 0 for row in rows)


def test_a_checkpoint_whose_logits_are_not_numbers_is_reported_and_the_others_go_on(
    models: dict[str, Path], text: Path, tmp_path: Path
) -> None:
    from safetensors.numpy import load_file, save_file

    broken = save_causal(tmp_path / "broken", seed=1)
    weights = load_file(broken / "model.safetensors")
    weights["model.norm.weight"] = np.full_like(weights["model.norm.weight"], np.nan)
    save_file(weights, broken / "model.safetensors", metadata={"format": "pt"})
    errors: list[KaiboError] = []
    found = kaibo.score([broken, models["llama"]], text, settings=kept(tmp_path), on_error=errors.append)
    assert [row.model for row in found.rows] == [str(models["llama"])]
    assert "not numbers" in errors[0].line


def test_a_tokenizer_larger_than_the_model_is_refused_before_the_model_sees_an_id(tmp_path: Path, text: Path) -> None:
    model = save_causal(tmp_path / "model")
    tokens = (model / "tokenizer.json").read_text().replace('"!": 2', '"!": 4000')
    (model / "tokenizer.json").write_text(tokens)
    text.write_text("!!!")
    with pytest.raises(UsageError, match="gives id 4000, the model has 400 rows"):
        kaibo.score(model, text, settings=kept(tmp_path))


def test_texts_without_a_token_and_windows_past_the_context_are_refused(
    models: dict[str, Path], tmp_path: Path, text: Path
) -> None:
    with pytest.raises(UsageError, match="longer than the model's context of 64"):
        kaibo.score(models["llama"], text, how=ScoreSettings(window=65), settings=kept(tmp_path))
    text.write_text("")
    with pytest.raises(FormatError, match="no token that can be scored"):
        kaibo.score(models["llama"], text, settings=kept(tmp_path))


def test_the_interval_covers_the_mean_of_independent_tokens_about_as_often_as_it_says() -> None:
    from kaibo.chapters.score.perplexity import ScoredText, perplexity
    from kaibo.vocabulary import LogKey, TokenLog

    random = np.random.default_rng(0)
    hits, runs, count = 0, 200, 1600
    for _ in range(runs):
        nats = random.exponential(3.0, count).astype(np.float32)
        none = np.full(count, -1, np.int32)
        places = np.arange(count)
        spans = np.stack([places, places + 1], axis=1)
        log = TokenLog(
            LogKey("m", "f", "t", "x", "s"), "d", none, none, none, places, none + 2, spans, spans, nats, none
        )
        (row,) = perplexity([ScoredText("m", "m", None, log, 1, 400)])
        assert row.ppl_low is not None
        assert row.ppl_high is not None
        hits += row.ppl_low <= math.exp(3.0) <= row.ppl_high
    assert 0.90 <= hits / runs <= 0.99
