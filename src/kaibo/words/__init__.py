"""What people read: a key and its values come in, a text in English or Japanese goes out; numbers as people write them.

Each subject keeps its texts in a `words.toml` of its own folder; what all share lies here.

>>> word("page.rows", "ja", count=3)
'3 行'
>>> bytes_in_words(2 * 2**30)
'2.00 GiB'
"""

from kaibo.words.catalogue import LANGUAGES, given, heading, known, word
from kaibo.words.notes import Note, note, said
from kaibo.words.numbers import bytes_in_words, count_in_words, count_unit, percent, rounded

__all__ = [
    "LANGUAGES",
    "Note",
    "bytes_in_words",
    "count_in_words",
    "count_unit",
    "given",
    "heading",
    "known",
    "note",
    "percent",
    "rounded",
    "said",
    "word",
]
