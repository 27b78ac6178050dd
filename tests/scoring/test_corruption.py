from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import kaibo
from kaibo.chapters.corrupt.ask import CorruptSettings
from kaibo.cli import main_loop
from kaibo.errors import FormatError, UsageError
from kaibo.scoring.texts.corruption import Corruption, Source, corrupted, rewritten, source, words_of
from kaibo.scoring.texts.texts import Document
from kaibo.store import Store
from scoring_models import TEXT, save_causal

CODES = st.lists(st.integers(0, 30), min_size=1, max_size=60).map(lambda codes: np.array(codes, np.int64))
MODES = st.sampled_from(("uniform", "unigram", "shuffle"))
EVERY = np.arange(31)


@given(CODES, st.floats(0, 1), MODES, st.integers(0, 5))
def test_as_many_units_are_chosen_as_the_share_says_and_the_others_stay(
    codes: np.ndarray, share: float, mode: Any, seed: int
) -> None:
    how = Corruption(share, mode, seed=seed)
    found, chosen = corrupted(codes, how, source(how, EVERY, [codes]), "a text")
    assert chosen.sum() == math.floor(share * len(codes) + 0.5)
    assert (found[~chosen] == codes[~chosen]).all()
    if mode != "uniform":
        assert set(found.tolist()) <= set(codes.tolist())
    if mode == "shuffle":
        assert sorted(found.tolist()) == sorted(codes.tolist())


@given(CODES, st.floats(0, 1), st.floats(0, 1), st.sampled_from(("uniform", "unigram")), st.integers(0, 5))
def test_what_a_small_share_replaces_a_larger_one_replaces_by_the_same(
    codes: np.ndarray, one: float, other: float, mode: Any, seed: int
) -> None:
    shares = sorted((one, other))
    drawn_from = source(Corruption(1.0, mode), EVERY, [codes])
    (less, few), (more, many) = (
        corrupted(codes, Corruption(share, mode, seed=seed), drawn_from, "a text") for share in shares
    )
    assert (many | ~few).all()
    if few.sum() == many.sum():
        assert (less == more).all()


@given(CODES, st.sampled_from(("uniform", "unigram")), st.integers(0, 5))
def test_a_unit_that_must_differ_does(codes: np.ndarray, mode: Any, seed: int) -> None:
    how = Corruption(1.0, mode, seed=seed, differ=True)
    drawn_from = source(how, EVERY, [codes])
    if mode == "unigram" and len(set(codes.tolist())) == 1:
        with pytest.raises(FormatError, match="one unit only"):
            corrupted(codes, how, drawn_from, "a text")
        return
    found, _ = corrupted(codes, how, drawn_from, "a text")
    assert (found != codes).all()


@pytest.mark.parametrize("differ", [False, True])
@pytest.mark.parametrize("counts", [[1] * 8, [40, 20, 10, 5, 5, 5, 5, 10]])
def test_replacements_come_as_often_as_they_should(counts: list[int], differ: bool) -> None:
    from scipy.stats import chisquare

    drawn_from = Source(np.arange(8), np.array(counts))
    codes = np.full(40_000, 3)
    found, _ = corrupted(codes, Corruption(1.0, "unigram", differ=differ), drawn_from, "a text")
    wanted = np.array(counts, float)
    wanted[3] *= not differ
    seen = np.bincount(found, minlength=8)[wanted > 0]
    assert chisquare(seen, wanted[wanted > 0] / wanted.sum() * len(codes)).pvalue > 1e-4


def test_draws_depend_on_the_seed_and_the_text_and_on_nothing_else() -> None:
    codes = np.arange(200)
    drawn_from = Source(EVERY, np.ones(31, np.int64))

    def drawn(seed: int, text: str) -> bytes:
        return corrupted(codes, Corruption(0.5, seed=seed), drawn_from, text)[0].tobytes()

    assert drawn(0, "a") == drawn(0, "a")
    assert len({drawn(0, "a"), drawn(1, "a"), drawn(0, "b")}) == 3


@given(st.text(st.sampled_from("ab猫 \n\t。"), max_size=30), MODES)
def test_words_change_and_white_space_stays(text: str, mode: Any) -> None:
    document = Document("t", text)
    words = words_of([document])
    how = Corruption(1.0, mode, "word")
    if not words.listed:
        with pytest.raises(FormatError, match="nothing that could be replaced"):
            source(how, np.arange(0), words.codes)
        return
    codes, _ = corrupted(words.codes[0], how, source(how, np.arange(len(words.listed)), words.codes), document.hash)
    found, spans = rewritten(document, codes, words.listed)
    assert [found.text[begin:end] for begin, end in spans] == [words.listed[code] for code in codes]
    assert "".join(found.text.split()) == "".join(words.listed[code] for code in codes)
    assert [one for one in found.text if one.isspace()] == [one for one in text if one.isspace()]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"share": 1.5}, "no fraction"),
        ({"share": float("nan")}, "no fraction"),
        ({"share": 0.5, "mode": "salad"}, "none of uniform"),
        ({"share": 0.5, "unit": "line"}, "none of token"),
        ({"share": 0.5, "seed": -1}, "below 0"),
        ({"share": 0.5, "mode": "shuffle", "differ": True}, "leave out --differ"),
    ],
)
def test_settings_that_say_nothing_are_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Corruption(**given)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_causal(tmp_path_factory.mktemp("corrupt") / "model")


@pytest.fixture(scope="module")
def uniform(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that thinks every one of its 400 tokens equally likely."""
    from safetensors.numpy import load_file, save_file

    path = save_causal(tmp_path_factory.mktemp("corrupt") / "uniform")
    weights = load_file(path / "model.safetensors")
    weights["lm_head.weight"] = np.zeros_like(weights["lm_head.weight"])
    save_file(weights, path / "model.safetensors", metadata={"format": "pt"})
    return path


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text(TEXT * 6, encoding="utf-8")
    return path


def kept(tmp_path: Path) -> kaibo.Settings:
    return kaibo.Settings(store=tmp_path / "store")


@pytest.mark.parametrize("mode", ["uniform", "unigram", "shuffle"])
@pytest.mark.parametrize("unit", ["token", "word"])
def test_no_model_lies_below_the_floor_and_a_uniform_one_is_as_far_above_as_its_vocabulary_says(
    uniform: Path, model: Path, text: Path, tmp_path: Path, mode: Any, unit: Any
) -> None:
    what = CorruptSettings((0, 0.3, 1), mode, unit, draws=2)
    rows = kaibo.corrupt([uniform, model], text, what=what, settings=kept(tmp_path)).rows
    assert [row.share for row in rows] == [0, 0.3, 1] * 2
    for row in rows:
        assert row.ppl is not None
        assert row.floor is not None
        assert row.above_floor == pytest.approx(math.log(row.ppl / row.floor))
        assert row.ppl >= row.floor >= 1
        assert (row.floor == 1) == (row.share == 0)
    flat = rows[2]
    assert flat.ppl == pytest.approx(400)
    if (mode, unit) == ("uniform", "token"):
        assert flat.floor == pytest.approx(flat.vocabulary)
        assert flat.replaced == flat.tokens


def test_the_floor_of_a_text_counts_only_units_that_are_scored(tmp_path: Path, text: Path) -> None:
    plain = save_causal(tmp_path / "plain", bos=False)
    (row,) = kaibo.corrupt(plain, text, what=CorruptSettings((1.0,)), settings=kept(tmp_path)).rows
    assert row.replaced == row.tokens
    assert row.floor == pytest.approx(row.vocabulary)


def test_corrupted_texts_are_kept_under_hashes_of_their_own_and_nothing_is_scored_twice(
    model: Path, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import kaibo.scoring.losses as losses

    what = CorruptSettings((0, 0.5))
    (clean,) = kaibo.score(model, text, settings=kept(tmp_path)).rows
    first = kaibo.corrupt(model, text, what=what, settings=kept(tmp_path))
    assert first.rows[0].nats == clean.nats
    hashes = Store(tmp_path / "store").sql("select distinct text_hash from token_log").num_rows
    assert hashes == 2

    def fail(*given: Any) -> Any:
        raise AssertionError("scored again")

    monkeypatch.setattr(losses, "batch_nats", fail)
    assert kaibo.corrupt(model, text, what=what, settings=kept(tmp_path)).rows == first.rows
    with pytest.raises(AssertionError, match="scored again"):
        kaibo.corrupt(model, text, what=CorruptSettings((0.5,), seed=1), settings=kept(tmp_path))


def test_the_log_holds_the_ids_that_were_read_and_transformers_gives_them_the_same_nats(
    model: Path, text: Path, tmp_path: Path
) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    from made import quiet

    text.write_text(TEXT[:40], encoding="utf-8")
    kaibo.corrupt(model, text, what=CorruptSettings((1.0,)), settings=kept(tmp_path))
    rows = Store(tmp_path / "store").sql("select token_id, nats from token_log order by position").to_pylist()
    with quiet():
        whole = AutoModelForCausalLM.from_pretrained(model).eval()
    ids = torch.tensor([[0, *(row["token_id"] for row in rows)]])
    with torch.no_grad():
        expected = -whole(ids).logits[0, :-1].double().log_softmax(-1).gather(1, ids[0, 1:, None])[:, 0]
    assert [row["nats"] for row in rows] == pytest.approx(expected.tolist(), rel=2e-5)


def test_texts_that_corruption_makes_equal_are_still_counted_twice(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "two.jsonl"
    path.write_text('{"text": "a b a b a b a b a b"}\n{"text": "b a b a b a b a b a"}\n')
    what = CorruptSettings((0, 1), "shuffle", "word")
    clean, mixed = kaibo.corrupt(model, path, what=what, settings=kept(tmp_path)).rows
    assert clean.tokens == mixed.tokens


def test_the_command_prints_what_scripts_rely_on(
    model: Path, text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store, picture = str(tmp_path / "store"), tmp_path / "a.svg"
    arguments = ["corrupt", str(model), "--text", str(text), "--share", "0,1", "--store", store, "--json"]
    assert main_loop([*arguments, "--figure", str(picture), "--lang", "ja"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert {"model", "share", "mode", "ppl", "floor"} <= set(document["results"][1])
    assert any("50,272" in note for note in document["warnings"])
    assert "下限" in picture.read_text(encoding="utf-8")
    assert main_loop(["corrupt", str(model), "--text", str(text), "--share", "0,half"]) == 2


def test_japanese_words_are_runs_of_one_script_and_a_text_that_cannot_be_cut_is_refused() -> None:
    text = "猫が好きです。犬はカメラを 見た。\n"
    words = words_of([Document("ja", text)])
    assert set(words.listed) == {"猫", "が", "好", "きです", "。", "犬", "は", "カメラ", "を", "見", "た"}
    same, spans = rewritten(Document("ja", text), words.codes[0], words.listed)
    assert same.text == text
    how = Corruption(1.0, "shuffle", "word")
    codes, replaced = corrupted(words.codes[0], how, source(how, words.codes[0], words.codes), "h")
    other, spans = rewritten(Document("ja", text), codes, words.listed)
    assert replaced.all()
    assert sorted(other.text) == sorted(text)
    assert [other.text[begin:end] for begin, end in spans] == [words.listed[code] for code in codes]
    with pytest.raises(FormatError, match=r"written without spaces.*--unit token"):
        words_of([Document("th", "ภาษาไทยเขียนติดกันโดยไม่มีช่องว่าง" * 4)])
