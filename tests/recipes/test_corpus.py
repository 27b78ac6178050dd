from __future__ import annotations

import re
import sys
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from kaibo.recipes.corpus import MIXES, chats, held_out, mixed, python_documents, stories
from kaibo.recipes.corpus.worlds import words

SOME = 300


@given(st.integers(0, 2**32), st.integers(1, 12), st.integers(1, 12))
@settings(max_examples=30, deadline=None)
def test_a_story_is_the_same_however_many_are_asked_for(seed: int, few: int, more: int) -> None:
    short, long = sorted((few, more))
    assert list(stories(seed, long))[:short] == list(stories(seed, short))


def test_every_number_of_a_story_stands_in_both_languages() -> None:
    for story in stories(0, SOME):
        english, japanese = (set(re.findall(r"\d+", text)) for text in (story.english, story.japanese))
        assert english <= japanese, story.source  # "seven" is a word in English, and 7時 in Japanese


def test_towns_and_countries_are_named_in_both_languages_or_in_none() -> None:
    for story in stories(1, SOME):
        for name in ("town", "country"):
            for english, japanese in words()[name]:
                there = re.search(rf"\b{english.text}\b", story.english) is not None
                assert there == (japanese.text in story.japanese), (story.source, english.text)


def test_nothing_is_left_to_be_filled_in() -> None:
    for story in stories(2, SOME):
        for text in (story.english, story.japanese):
            assert not re.search(r"[{}]|  |\.\.|。。", text), text
            assert text[0].isupper() or ord(text[0]) > 127


def test_a_price_times_a_count_is_what_was_paid() -> None:
    sold = [story.english for story in stories(3, SOME) if story.source.startswith("shop")]
    assert len(sold) > 10
    for text in sold:
        price = re.search(r"(?:costs|price is) (\d+) yen", text)
        bought = re.search(r"(?:bought|took) (\d+) .* paid (\d+) yen", text)
        assert price is not None
        assert bought is not None
        assert int(price[1]) * int(bought[1]) == int(bought[2])


def test_the_japanese_corpus_has_a_megabyte_of_sentences_that_differ() -> None:
    sentences = {
        sentence for story in stories(42, 6000) for sentence in re.split(r"(?<=。)|\n", story.japanese) if sentence
    }
    assert sum(len(sentence.encode()) for sentence in sentences) >= 1_000_000


def test_both_styles_give_the_same_answer_to_the_same_question() -> None:
    for chat in chats(0):
        plain, played = chat.answers["plain"], chat.answers["role-play"]
        core = plain.removesuffix(".").removesuffix("です。").removesuffix("ます。")
        assert core in played
        assert plain != played
        assert ("。" in plain) == (chat.language == "ja")


def test_every_sum_is_right() -> None:
    found = [chat for chat in chats(0) if chat.source.startswith("sum") and chat.language == "en"]
    assert len(found) == 100
    for chat in found:
        first, second, total = map(int, re.findall(r"\d+", chat.answers["plain"]))
        assert first + second == total


def test_the_sources_of_a_mix_keep_their_shares_all_along() -> None:
    documents = mixed("mixed", 0, 200_000, 100)
    taken = dict.fromkeys(MIXES["mixed"], 0)
    largest = max(document.size for document in documents)
    for document in documents:
        taken[_source(document.source, document.language)] += document.size
        for source, share in MIXES["mixed"].items():
            assert abs(taken[source] - share * sum(taken.values())) <= largest * 2


def _source(name: str, language: str) -> str:
    if name.startswith(("topic:", "docstring:", "question:")):
        return "python"
    told = name.split("-")[0] in ("person", "shop", "journey", "ages", "letter")
    return f"{'stories' if told else 'chats'}-{language}"


def test_what_models_are_scored_on_they_never_read() -> None:
    read = {document.source for name in MIXES for document in mixed(name, 7, 400_000, 200)}
    kept = held_out(7, 200)
    assert not read & {document.source for document in kept["en"]}
    assert [document.source for document in kept["en"]] == [document.source for document in kept["ja"]]


def test_python_texts_are_read_and_never_run() -> None:
    documents = python_documents()
    assert sum(document.size for document in documents) > 1_000_000
    assert len({document.text for document in documents}) == len(documents)
    assert "antigravity" not in sys.modules
    assert any(document.source.startswith("question:textwrap.") for document in documents)


def test_files_that_are_no_python_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_bytes(b"def (\x00")
    (tmp_path / "fine.py").write_text(f'"""{"What a module says of itself. " * 5}"""\n')
    found = [document.source for document in python_documents(tmp_path) if "topic" not in document.source]
    assert found == ["docstring:fine#0", "question:fine"]
