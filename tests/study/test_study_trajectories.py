"""The study of trajectories on what it may be given: nothing, published evaluations, and models by address."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace as Made

import numpy as np
import pytest

import kaibo
from kaibo.study import declared, run

PYTHIA = Path(__file__).resolve().parents[3] / "shared" / "reference" / "pythia_zero_shot"


@pytest.fixture(scope="module")
def parts():
    declared("trajectories")
    return {name: sys.modules[f"kaibo_study_trajectories.{name}"] for name in ("tasks", "finals")}


def scores(low, high, leads, wrong=(3.0, 4.0)):
    """An accuracy whose effect of size lies between two ends, with these leads, and wrong options of two sizes."""
    ends = (Made(parameters=1, step=9, low=5.0, high=6.0), Made(parameters=2, step=9, low=wrong[0], high=wrong[1]))
    adds = Made(effects=(Made(low=low, high=high),), effect_low=low, effect_high=high)
    crossings = tuple(Made(p=0.01, clear=clear, larger_first=larger, lead_high=0.1) for clear, larger in leads)
    accuracy = Made(benchmark="t.acc", size_adds=adds, crossings=crossings, points=ends)
    return Made(rows=(accuracy, Made(benchmark="t.ppl_wrong", size_adds=None, crossings=(), points=ends)))


def judged(parts, *made, **more):
    return {one.name: one.value for one in parts["tasks"].outcomes(scores(*made, **more), "nursery")}


def test_each_claim_is_answered_only_where_the_intervals_allow_it(parts):
    clear = judged(parts, -0.005, 0.005, [(True, False)] * 3)
    assert clear == {"perplexity-decides": True, "wrong-options-fall": True, "small-at-small-flops": True}
    unclear = judged(parts, -0.02, 0.02, [(True, False), (False, False), (False, False)], wrong=(4.0, 5.5))
    assert set(unclear.values()) == {None}
    other = judged(parts, 0.02, 0.04, [(True, True), (False, True)], wrong=(6.5, 7.0))
    assert set(other.values()) == {False}
    assert parts["tasks"].outcomes(None, "nursery") == []


def test_an_effect_that_was_not_found_is_not_called_none(parts):
    """It was once: no more gain than noise gives was read as "perplexity decides"."""
    assert judged(parts, -0.5, 0.5, [(False, False)])["perplexity-decides"] is None


def test_without_anything_given_pythias_evaluations_are_judged_and_every_claim_says_what_it_needs():
    ran = run(declared("trajectories"), kaibo.Inputs())
    assert [key for key, _ in ran.results.sentences] == ["nothing", "published", "leads"]
    assert list(ran.results.findings) == ["published", "published-shapes", "published-crossings"]
    by_id = {one.id: one for one in ran.judgements}
    assert (by_id["small-at-small-flops"].ours, by_id["small-at-small-flops"].scale) == (True, "Pythia")
    assert by_id["perplexity-decides"].ours is None
    assert "points" in by_id["perplexity-decides"].why["verdict"]
    for one in ran.judgements:
        assert one.why["verdict"] != "its inputs were not given"
    assert "--models hf:facebook/opt-6.7b" in by_id["noise-6.7B-20"].why["verdict"]


@pytest.mark.skipif(not PYTHIA.is_dir(), reason="the published evaluations are not here")
def test_the_table_that_ships_is_the_published_one():
    ours = kaibo.score_table(declared("trajectories").folder / "pythia-zero-shot.csv")
    theirs = kaibo.score_table(PYTHIA)
    assert len(ours.models) == 8 * 27
    size, step = theirs.fact("parameters"), theirs.fact("step")
    where = {key: place for place, key in enumerate(zip(np.round(size / 1e6).tolist(), step.tolist(), strict=True))}
    facts = zip(np.round(ours.fact("parameters") / 1e6).tolist(), ours.fact("step").tolist(), strict=True)
    rows = [where[key] for key in facts]
    for name in ours.benchmarks:
        np.testing.assert_allclose(ours.column(name), theirs.column(name)[rows], rtol=1e-6, atol=1e-9)
        own, other = (one.stderr[:, one.benchmarks.index(name)] for one in (ours, theirs))
        np.testing.assert_allclose(own, other[rows], rtol=1e-3)
    np.testing.assert_array_equal(ours.fact("tokens"), ours.fact("step") * 2_097_152)


def opt_of(hidden: int, folder: Path) -> Path:
    """A folder whose config is that of an OPT of this width: only what names and sizes need."""
    import torch
    from transformers import OPTConfig, OPTForCausalLM

    torch.manual_seed(hidden)
    config = OPTConfig(
        vocab_size=512, hidden_size=hidden, word_embed_proj_dim=hidden, num_hidden_layers=1, ffn_dim=2 * hidden,
        num_attention_heads=2, max_position_embeddings=512, bos_token_id=0, eos_token_id=0, pad_token_id=0,
    )  # fmt: skip
    OPTForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def opts(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    from scoring_models import save_causal

    place = tmp_path_factory.mktemp("opt")
    tokenizer = save_causal(place / "llama", seed=0, context=512)
    made = []
    for hidden in (16, 32):
        folder = opt_of(hidden, place / f"opt-{hidden}")
        for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
            if (tokenizer / name).is_file():
                (folder / name).write_bytes((tokenizer / name).read_bytes())
        made.append(str(folder))
    return made


def test_models_by_address_answer_the_numbers_about_their_size(opts, tmp_path):
    """Two tiny OPTs stand in for the published sizes; once --models was ignored."""
    text = tmp_path / "text.txt"
    text.write_text("".join(f"On day {day} the fox eats fish and sleeps. " for day in range(60)), encoding="utf-8")
    sizes = [row.parameters for row in kaibo.inspect(opts).rows]
    how = kaibo.Settings(store=tmp_path / "store")
    study = declared("trajectories")
    finals = sys.modules["kaibo_study_trajectories.finals"]
    finals.OPT.update({"125M": sizes[0], "1.3B": sizes[1]})
    ran = run(study, kaibo.Inputs(models=tuple(opts), texts=(str(text),), small=True, settings=how))
    by_id = {one.id: one for one in ran.judgements}
    for claim in ("noise-125M-40", "noise-1.3B-100"):
        one = by_id[claim]
        assert one.low < one.ours < one.high
        assert one.scale == finals.ELSEWHERE
        assert one.verdict not in ("reproduced", "differs")
    assert by_id["option-correct-125M"].ours is not None
    assert by_id["noise-30B-40"].ours is None
    assert by_id["noise-falls"].scale == finals.ELSEWHERE
    assert {"corrupted", "answered"} <= ran.results.findings.keys()


def test_runs_and_finals_are_told_apart(parts, tmp_path):
    (tmp_path / "run" / "step-1").mkdir(parents=True)
    final = tmp_path / "final"
    final.mkdir()
    (final / "config.json").write_text("{}")
    assert parts["finals"].is_run(str(tmp_path / "run"))
    assert not parts["finals"].is_run(str(final))
    size = parts["finals"].opt_size
    assert (size(125_239_296), size(1_315_758_080), size(331_196_416), size(125e6, "gpt2")) == (
        "125M", "1.3B", None, None,
    )  # fmt: skip
