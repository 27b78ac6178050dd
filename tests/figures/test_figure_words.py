import re
import string
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaibo.chapters.dissect.sentences import SENTENCES, sentence
from kaibo.errors import UsageError
from kaibo.figures.names import distinct, model_name, model_names, short
from kaibo.words import bytes_in_words, count_in_words, heading, percent, word
from kaibo.words.catalogue import LANGUAGES, everything, table, word_files


def braces(text):
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_every_word_is_there_in_every_language_with_the_same_blanks():
    for path in word_files():
        for key, texts in table(path).items():
            assert texts.keys() == set(LANGUAGES), f"{path}: {key}"
            assert all(text.strip() for text in texts.values()), f"{path}: {key}"
            # A wording may leave a value out, but asks for none that the caller does not have.
            assert len({frozenset(braces(text)) for text in texts.values()}) == 1, f"{path}: {key}"


def test_a_word_has_one_home():
    keys = [key for path in word_files() for key in table(path)]
    assert [key for key, times in Counter(keys).items() if times > 1] == []


def test_a_language_without_words_is_refused_with_those_there_are():
    with pytest.raises(UsageError, match="languages: en, ja"):
        word("page.rows", "fr", count=3)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("key", SENTENCES)
def test_every_sentence_stands_even_when_every_value_is_missing(key, language):
    text = sentence(key, {}, language)
    assert text.endswith((".", "。"))
    assert "{" not in text


@given(st.dictionaries(st.sampled_from(["mae", "gaussian_mae", "mixture_mae"]), st.floats() | st.none()))
def test_a_sentence_takes_any_number(values):
    assert sentence("digits", {**values, "conformity": None, "closer": "law"}, "ja")


def test_a_sentence_spells_out_hostile_names_and_cuts_long_ones():
    text = sentence("tails", {"tensor": "a\x1b[31m\u202e" + "x" * 500, "kurtosis": 3.0})
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert len(text) < 300


def test_bell_curves_are_not_called_heavy():
    assert sentence("tails", {"tensor": "a", "kurtosis": 0.03}).startswith("No tensor has heavy tails")
    assert sentence("tails", {"tensor": "a", "kurtosis": 3.0}).startswith("The heaviest tails are in a")


def test_an_unknown_sentence_names_those_there_are():
    with pytest.raises(UsageError, match="sentences: size"):
        sentence("sighs", {})


def test_japanese_sentences_are_japanese():
    values = {"parameters": 6_738_415_616, "layers": 32, "dtype": ("BF16",)}
    assert sentence("size", values, "ja") == "32 層に 67.4億個のパラメータがあり、BF16 で保存されています。"
    assert sentence("size", values) == "It has 6.74 billion parameters in 32 layers, stored as BF16."


@given(st.floats(0, 1))
def test_a_share_that_is_not_zero_never_reads_as_zero(share):
    text = percent(share)
    assert text.endswith(" %")
    assert (text == "0 %") == (share == 0) or "e" in text


@given(st.integers(0, 10**18), st.sampled_from(LANGUAGES))
def test_counts_and_bytes_stay_short(count, language):
    assert len(count_in_words(count, language)) <= 20
    assert len(bytes_in_words(count)) <= 10


def test_a_column_without_a_word_keeps_its_name():
    assert heading("gaussian_shares_9", "ja") == "正規分布の割合 9"
    assert heading("not_yet_known", "ja") == "not yet known"


@given(st.text())
def test_a_models_name_never_holds_its_folders_or_control_characters(text):
    name = model_name(f"/home/ann/{text}")
    assert "/home/ann" not in name
    assert name.isprintable()


@given(st.lists(st.text(max_size=60), max_size=20))
def test_names_that_are_different_look_different(texts):
    names = model_names(texts)
    assert len(names) == len(set(texts))
    unique = list(dict.fromkeys(texts))
    assert len(distinct(unique, 20)) == len(unique)
    assert all(len(short(text, 20)) <= 20 for text in texts)


def test_the_words_hold_no_ideographic_slips():
    assert not [key for key, texts in everything().items() if re.search("[，．]", texts["ja"])]
