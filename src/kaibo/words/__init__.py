"""What people read: a key and its values come in, a text in English or Japanese goes out; numbers as people write them.

Each subject keeps its texts in a `words.toml` of its own folder; what all share lies here.

>>> word("page.rows", "ja", count=3)
'3 行'
>>> bytes_in_words(2 * 2**30)
'2.00 GiB'
"""

from kaibo.words.catalogue import LANGUAGES, given, heading, known, word
from kaibo.words.notes import Note, about, also, changed, combined, note, quoted, said, written
from kaibo.words.numbers import bytes_in_words, count_in_words, count_unit, further, percent, rounded

__all__ = [
    "LANGUAGES",
    "Note",
    "about",
    "also",
    "bytes_in_words",
    "changed",
    "combined",
    "count_in_words",
    "count_unit",
    "further",
    "given",
    "heading",
    "known",
    "note",
    "percent",
    "quoted",
    "rounded",
    "said",
    "word",
    "written",
]
