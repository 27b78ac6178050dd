"""Texts and tokens that are not as they should be, through the command line: exit codes and one line each."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scoring_models import TEXT, save_causal, save_tokenizer


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_causal(tmp_path_factory.mktemp("faults") / "model")


def score(kaibo: Any, made: Path, data: bytes | str, *more: str, name: str = "text.txt") -> Any:
    Path(name).write_bytes(data.encode() if isinstance(data, str) else data)
    return kaibo("score", str(made), "--text", name, "--json", *more)


@pytest.mark.parametrize("data", [b"", b"\xef\xbb\xbf"])
def test_a_text_without_a_token_is_malformed_and_named(kaibo: Any, made: Path, data: bytes) -> None:
    ran = score(kaibo, made, data)
    assert ran.code == 3
    assert ran.lines == ["kaibo: text.txt: holds no token that can be scored; give a longer text"]


@pytest.mark.parametrize(("data", "tokens"), [(b" \n\t ", 4), (b"a", 1), (b"\0", 1), (b"x" * 2000, 2000)])
def test_white_space_one_byte_nulls_and_one_long_line_are_texts(
    kaibo: Any, made: Path, data: bytes, tokens: int
) -> None:
    ran = score(kaibo, made, data)
    assert ran.code == 0, ran.err
    (row,) = ran.document["results"]
    assert row["bytes"] == len(data)
    assert row["tokens"] <= tokens


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("one.txt", "one.txt: is longer than 64 MiB, the most that is read as one text; split it"),
        ("lines.jsonl", "lines.jsonl: line 1 is longer than 128 MiB, the most that is read as one text; split it"),
    ],
)
def test_one_line_of_a_gigabyte_is_refused_and_not_read_whole(kaibo: Any, made: Path, name: str, said: str) -> None:
    with open(name, "wb") as file:
        file.truncate(1 << 30)
    tracemalloc.start()
    ran = kaibo("score", str(made), "--text", name)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert ran.code == 3
    assert [line.startswith(f"kaibo: {said}") for line in ran.lines] == [True]
    assert peak < 400 << 20


def test_a_long_text_in_a_line_is_measured_without_its_escapes(
    kaibo: Any, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kaibo.scoring.texts.texts.TEXT_LIMIT", 9)
    record = json.dumps({"text": "解剖解"})  # nine bytes, eighteen escaped
    assert score(kaibo, made, record, name="a.jsonl").code == 0
    ran = score(kaibo, made, record.replace('"}', '."}'), name="b.jsonl")
    assert (ran.code, "the text of line 1 is longer than" in ran.err) == (3, True)


def test_bytes_that_are_not_utf8_are_refused_at_their_offset_unless_asked_otherwise(kaibo: Any, made: Path) -> None:
    ran = score(kaibo, made, b"fine so far \xff and on")
    assert ran.code == 3
    assert "text.txt: at byte 12: is not UTF-8" in ran.lines[0]
    assert ran.document["errors"][0]["offset"] == 12
    assert score(kaibo, made, b"fine so far \xff and on", "--errors", "replace").code == 0
    assert score(kaibo, made, b"fine", "--errors", "maybe").code == 2


def test_a_text_longer_than_the_context_says_its_windows_and_scores_every_token(kaibo: Any, made: Path) -> None:
    document = score(kaibo, made, TEXT * 3).document
    assert document["results"][0]["unscored"] == 0
    assert any("windows of 64, 32 new tokens each" in note for note in document["warnings"])
    assert score(kaibo, made, TEXT, "--window", "65").code == 2
    assert score(kaibo, made, TEXT, "--window", "1").code == 2
    assert score(kaibo, made, TEXT, "--stride", "64").code == 2
    assert score(kaibo, made, TEXT, "--batch", "0").code == 2


def test_models_with_two_tokenizers_are_compared_by_byte_and_never_by_token(
    kaibo: Any, made: Path, tmp_path: Path
) -> None:
    other = save_causal(tmp_path / "other", seed=1)
    save_tokenizer(other, vocabulary=280)
    Path("text.txt").write_text(TEXT)
    for command in (("score",), ("corrupt", "--share", "0,1")):
        ran = kaibo(command[0], str(made), str(other), "--text", "text.txt", "--json", *command[1:])
        assert ran.code == 0, ran.err
        assert {row["ppl"] for row in ran.document["results"]} == {None}
        assert all("bits per byte" in row["why"]["ppl"] for row in ran.document["results"])


def test_ids_past_the_embedding_are_refused_before_the_model_sees_them(kaibo: Any, tmp_path: Path) -> None:
    model = save_causal(tmp_path / "wide")
    path = model / "tokenizer.json"
    path.write_text(path.read_text().replace('"!": 2', '"!": 4000'))
    ran = score(kaibo, model, "!!!")
    assert ran.code == 2
    assert "gives id 4000, the model has 400 rows" in ran.lines[0]
    assert kaibo("corrupt", str(model), "--text", "text.txt", "--share", "0,1").code == 2


def test_what_looks_like_a_special_token_is_text_and_a_second_one_is_warned_of(kaibo: Any, made: Path) -> None:
    ran = score(kaibo, made, "<s>the fox</s>")
    document = ran.document
    assert document["results"][0]["bytes"] == 14
    assert any("begin with <s>, which is read as text" in note for note in document["warnings"])


def test_line_ends_marks_and_forms_of_characters_are_kept_as_they_are(kaibo: Any, made: Path) -> None:
    composed, apart = "é", "e\u0301"
    nats = [
        score(kaibo, made, text).document["results"][0]["nats"]
        for text in (f"a\r\nb{composed}", f"a\nb{composed}", f"a\r\nb{apart}")
    ]
    assert len(set(nats)) == 3
    marked = score(kaibo, made, b"\xef\xbb\xbf" + f"a\r\nb{composed}".encode()).document
    assert marked["results"][0]["nats"] == nats[0]
    assert any("byte-order mark" in note for note in marked["warnings"])


@pytest.mark.parametrize("line", ['{"text": "\\ud800"}', '{"text": 3}', "[1", '{"text": "ok"} trailing'])
def test_lines_of_jsonl_that_are_no_texts_are_malformed(kaibo: Any, made: Path, line: str) -> None:
    ran = score(kaibo, made, f'{{"text": "fine"}}\n{line}\n', name="texts.jsonl")
    assert ran.code == 3
    assert "line 2" in ran.lines[0]


def test_the_same_text_twice_is_one_text(kaibo: Any, made: Path) -> None:
    once = score(kaibo, made, TEXT).document["results"][0]
    Path("again.md").write_text(TEXT)
    ran = kaibo("score", str(made), "--text", "text.txt", "--text", "again.md", "--json")
    (row,) = ran.document["results"]
    assert (row["tokens"], row["nats"]) == (once["tokens"], once["nats"])
    assert any("there twice" in note for note in ran.document["warnings"])


def test_what_is_not_there_exits_4_and_a_model_that_gives_no_numbers_3(kaibo: Any, made: Path, tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    broken = save_causal(tmp_path / "broken", seed=1)
    weights = load_file(broken / "model.safetensors")
    weights["model.norm.weight"] = np.full_like(weights["model.norm.weight"], np.nan)
    save_file(weights, broken / "model.safetensors", metadata={"format": "pt"})
    assert score(kaibo, broken, TEXT).code == 3
    ran = kaibo("score", str(broken), str(made), "--text", "text.txt", "--json")
    assert ran.code == 3
    assert [row["model"] for row in ran.document["results"]] == [str(made)]
    assert "not numbers" in ran.lines[0]
    decoded = kaibo("decode", str(made), str(broken), "--prompt", "the")
    assert decoded.code == 3
    assert kaibo("score", str(made), "--text", "nowhere.txt").code == 4
    assert kaibo("score", "no-model", "--text", "text.txt").code == 4
    Path("empty").mkdir()
    (Path("empty") / "below").mkdir()
    assert kaibo("score", "empty", "--text", "text.txt").code == 4


@pytest.mark.parametrize(
    "arguments",
    [("--share", "2"), ("--share", "-0.1"), ("--share", ""), ("--share", "nan"), ("--mode", "salad"), ("--draws", "0")],
)
def test_corruption_that_says_nothing_is_a_fault_of_the_call(
    kaibo: Any, made: Path, arguments: tuple[str, str]
) -> None:
    Path("text.txt").write_text(TEXT)
    ran = kaibo("corrupt", str(made), "--text", "text.txt", "--json", *arguments)
    assert ran.code == 2
    assert json.loads(ran.out)["results"] == []
