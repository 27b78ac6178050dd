"""Every word that figures, tables and the page show, one file per language, and numbers written for reading.

>>> word("digits.law", "ja")
'ベンフォードの法則'
>>> sentence("memory", {"bits16": 13476831232, "bits4": 3369207808}, "en")
'Its weights take 12.6 GiB at 16 bit and 3.14 GiB at 4 bit.'
"""

from kaibo.figures.words.catalogue import LANGUAGES, heading, word
from kaibo.figures.words.notes import note
from kaibo.figures.words.numbers import bytes_in_words, count_in_words, count_unit, percent
from kaibo.figures.words.sentences import SENTENCES, sentence

__all__ = [
    "LANGUAGES",
    "SENTENCES",
    "bytes_in_words",
    "count_in_words",
    "count_unit",
    "heading",
    "note",
    "percent",
    "sentence",
    "word",
]
